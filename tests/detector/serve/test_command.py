"""The command itself: it says where it answers, survives a kill, and finishes what it took when it is stopped."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from descriptions.store import Store
from tests.support.detecting import command, make_workplace
from tests.support.serving import images, png, wait_until

pytestmark = pytest.mark.slow


@contextmanager
def started(home: Path, *extra: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client, str]]:
    """The command in a process of its own, a client, and what it said."""
    code = "from detector.cli.app import main; main()"
    words = ["serve", "--no-browser", "--port", "0", "--cache-dir", str(home / "cache"), *command(home)[4:], *extra]
    env = os.environ | {"COLUMNS": "300", "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", code, *words]
    with subprocess.Popen(line, cwd=home, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        said = ""
        for text in process.stderr:
            said += text
            if "answers at" in said and ("0.0.0.0" not in extra or "made a token" in said):
                break
        found = re.search(r"(http://\S+?);", said)
        assert found, said
        try:
            with httpx.Client(base_url=found[1], timeout=60, trust_env=False) as client:
                wait_until(lambda: client.get("/readyz").status_code == 200)
                yield process, client, said
        finally:
            process.kill()


def test_a_kill_in_the_middle_of_saving_and_of_a_job_leaves_whole_files(tmp_path: Path) -> None:
    home = make_workplace(tmp_path, photos=4)
    body = {"parent": 1, "anomalies": [{"id": f"a{n}", "text": f"dark mark number {n}"} for n in range(60)]}
    saved: list[int] = []

    def save(client: httpx.Client) -> None:
        while True:
            try:
                saved.append(client.post("/v1/descriptions/gear?force=true", json=body).json()["version"])
            except httpx.HTTPError:
                return

    with started(home) as (process, client, _):
        files = images(*(png(number) for number in range(40)))
        assert client.post("/v1/detect/batch", files=files, data={"category": "gear"}).status_code == 202
        threads = [threading.Thread(target=save, args=(client,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(saved) > 12)
        process.kill()
        process.wait()
        for thread in threads:
            thread.join(60)
    library = Store(home / "library")
    assert len(saved) == len(set(saved))
    assert set(saved) <= set(library.versions("gear"))
    for version in library.versions("gear")[1:]:
        assert len(library.load(f"gear@{version}").anomalies) == 60


def test_a_stopped_server_finishes_what_it_took(tmp_path: Path) -> None:
    home = make_workplace(tmp_path, photos=0)
    answers: list[httpx.Response] = []
    with started(home) as (process, client, _):
        files: list[Any] = images(*(png(number, (900, 900)) for number in range(30)))
        ask = threading.Thread(
            target=lambda: answers.append(client.post("/v1/detect", files=files, data={"category": "gear"}))
        )
        ask.start()
        with httpx.Client(base_url=client.base_url, trust_env=False) as other:
            wait_until(lambda: "queue_length 0.0" not in other.get("/metrics").text)
        process.send_signal(signal.SIGTERM)
        ask.join(60)
        assert process.wait(60) in (0, -signal.SIGTERM)
    assert answers[0].status_code == 200
    assert len(answers[0].json()["images"]) == 30


def test_another_address_shows_the_token_that_it_made(tmp_path: Path) -> None:
    home = make_workplace(tmp_path, photos=0)
    with started(home, "--host", "0.0.0.0") as (_, client, said):
        found = re.search(r"/\?token=(\S+)", said)
        assert found, said
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"authorization": f"Bearer {found[1]}"}).status_code == 200
