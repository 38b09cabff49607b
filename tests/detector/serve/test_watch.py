"""Photos of a line camera: each is scored once, when it is written to the end, and after a kill as well."""

import csv
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from descriptions.common.errors import ForgeError
from tests.support.detecting import command, make_workplace, run
from tests.support.serving import png, wait_until

KEY = "a-key-of-the-plant-0123"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workplace(tmp_path_factory.mktemp("watch"), photos=0)


def words(home: Path, folder: Path, out: Path, *extra: str) -> list[str]:
    options = command(home)[2:]
    return ["watch", str(folder), "--out", str(out), "--settle", "0.2", *options, *extra]


def lines(out: Path) -> list[dict[str, Any]]:
    path = out / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def table(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_what_is_there_is_done_once_and_again_only_when_it_changes(watched: Path, tmp_path: Path) -> None:
    camera, out = tmp_path / "camera", tmp_path / "out"
    (camera / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png"):
        (camera / name).write_bytes(png(len(name)))
    for name in (".hidden.png", "c.png.part", "notes.txt"):
        (camera / name).write_bytes(png())
    done = run(words(watched, camera, out, "--once", "--threshold", "0.4"))
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == lines(out)
    assert sorted(Path(line["path"]).name for line in lines(out)) == ["a.png", "b.png"]
    row = lines(out)[0]["row"]
    assert row["verdict"] in ("good", "anomalous")
    assert (out / row["heatmap"]).is_file()
    assert len(table(out)) == 2
    assert run(words(watched, camera, out, "--once", "--threshold", "0.4")).stdout == ""
    (camera / "a.png").write_bytes(png(9))
    run(words(watched, camera, out, "--once", "--threshold", "0.4"))
    assert [Path(line["path"]).name for line in lines(out)].count("a.png") == 2
    with pytest.raises(ForgeError, match="holds results of other settings"):
        run(words(watched, camera, out, "--once", "--threshold", "0.5"))


def test_scores_are_those_of_detect_also_beside_references(watched: Path, tmp_path: Path) -> None:
    camera, good = tmp_path / "camera", tmp_path / "good"
    for folder, seeds in ((camera, (1, 2)), (good, (3, 4, 5))):
        folder.mkdir()
        for seed in seeds:
            (folder / f"{seed}.png").write_bytes(png(seed))
    for number, extra in enumerate(([], ["--references", str(good), "--false-alarms", "25%"])):
        out = tmp_path / f"out{number}"
        run(words(watched, camera, out, "--once", *extra))
        base = ["detect", str(camera), *command(watched)[2:], "--format", "json", *extra]
        expected = {each["path"]: each["score"] for each in json.loads(run(base).stdout)["images"]}
        assert {line["row"]["path"]: line["row"]["score"] for line in lines(out)} == expected


def test_a_camera_is_followed_through_slow_files_pauses_and_a_kill(watched: Path, tmp_path: Path) -> None:
    camera, out = tmp_path / "camera", tmp_path / "out"
    camera.mkdir()
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names[:3]):
        (camera / name).write_bytes(png(number))
    script = "from detector.cli.app import main; main()"
    line = [sys.executable, "-c", script, *words(watched, camera, out, "--no-pictures")]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: len(lines(out)) == 3)
        whole = png(7)
        slow = camera / "slow.png"
        with slow.open("wb") as stream:
            for start in range(0, len(whole), len(whole) // 4 + 1):
                stream.write(whole[start : start + len(whole) // 4 + 1])
                stream.flush()
                threading.Event().wait(0.1)
        wait_until(lambda: len(lines(out)) == 4)
        process.send_signal(signal.SIGUSR1)
        threading.Event().wait(0.3)
        (camera / names[3]).write_bytes(png(3))
        threading.Event().wait(1)
        assert len(lines(out)) == 4
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(lines(out)) == 5)
        for number, name in enumerate(names[4:], 4):
            (camera / name).write_bytes(png(number))
        process.kill()
    with (out / "results.jsonl").open("ab") as stream:
        stream.write(b'{"path": "cut sho')  # as a kill in the middle of a line leaves it
    run(words(watched, camera, out, "--once", "--no-pictures"))
    seen = [Path(line["path"]).name for line in lines(out)]
    assert sorted(seen) == sorted([*names, "slow.png"])
    assert "error" not in json.dumps(lines(out))
    assert len(table(out)) == 7


def test_a_damaged_photo_is_named_when_it_is_old_enough_to_be_no_upload(watched: Path, tmp_path: Path) -> None:
    camera, out = tmp_path / "camera", tmp_path / "out"
    camera.mkdir()
    (camera / "bad.png").write_bytes(png()[:300])
    os.utime(camera / "bad.png", (1_000_000, 1_000_000))
    assert run(words(watched, camera, out, "--once")).exit_code == 1
    assert "cannot be read" in lines(out)[0]["error"]


class Plant:
    """A receiver that fails twice before it takes a result."""

    def __init__(self) -> None:
        plant = self
        self.seen: list[tuple[str, str, bytes]] = []
        self.refusals = 2

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                plant.seen.append((self.headers["x-filo-forge-delivery"], self.headers["x-filo-forge-signature"], body))
                plant.refusals -= 1
                self.send_response(500 if plant.refusals >= 0 else 204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)


@pytest.fixture
def plant() -> Iterator[Plant]:
    made = Plant()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_results_reach_a_webhook_signed_and_in_order(
    watched: Path, tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.serve.watch.sinks.waiting.LAST", 120)  # on a busy machine, three tries may take long
    camera, secret = tmp_path / "camera", tmp_path / "key"
    camera.mkdir()
    secret.write_text(f"{KEY}\n")
    for number in range(3):
        (camera / f"{number}.png").write_bytes(png(number))
    url = f"http://127.0.0.1:{plant.server.server_port}/results"
    run(words(watched, camera, tmp_path / "out", "--once", "--webhook", url, "--webhook-secret", str(secret)))
    bodies = [json.loads(body) for _, _, body in plant.seen]
    assert bodies[2:] == lines(tmp_path / "out")
    assert len({name for name, _, _ in plant.seen}) == 3
    assert plant.seen[0][0] == plant.seen[2][0]
    for _, signature, body in plant.seen:
        assert signature == "sha256=" + hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--webhook", "file:///etc/passwd"], "--webhook 'file:///etc/passwd'; expected an address"),
        (["--webhook", "http://127.0.0.1"], "--webhook without --webhook-secret"),
        (["--false-alarms", "5%"], "--false-alarms without --references"),
        (["--references", "x", "--false-alarms", "5%", "--threshold", "1"], "both --false-alarms and --threshold"),
        (["--webhook", "http://127.0.0.1", "--webhook-secret", "nowhere"], "--webhook-secret nowhere cannot be read"),
        (["--webhook-secret", "key.txt"], "--webhook-secret without --webhook"),
        (["--mqtt", "broker.plant"], "--mqtt 'broker.plant'; expected mqtt://HOST"),
        (["--mqtt", "mqtt://broker.plant"], "--mqtt 'mqtt://broker.plant'; expected mqtt://HOST"),
        (["--mqtt", "mqtt://broker.plant/line/#"], "expected mqtt://HOST"),
        (["--mqtt", "mqtt://broker.plant:nine/line"], "--mqtt with the port of broker.plant"),
        (["--mqtt", "mqtt://ada:secret@broker.plant/line"], "--mqtt with a name in the address"),
        (["--mqtt", "mqtt://broker.plant/line", "--mqtt-login", "nowhere"], "--mqtt-login nowhere cannot be read"),
        (["--mqtt-login", "login.txt"], "--mqtt-login without --mqtt"),
        (["--deliver", "/dev/null/outbox"], "--deliver /dev/null/outbox .Not a directory"),
    ],
)
def test_what_cannot_work_is_refused(watched: Path, tmp_path: Path, extra: list[str], said: str) -> None:
    with pytest.raises(ForgeError, match=said):
        run(words(watched, tmp_path, tmp_path / "out", *extra))
    with pytest.raises(ForgeError, match="no folder"):
        run(words(watched, tmp_path / "none", tmp_path / "out"))
