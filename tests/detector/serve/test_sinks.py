"""Where a watch tells its results, and who tells it to rest: a real broker, real files, a real server and page."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from descriptions.common.errors import ForgeError
from detector.serve.run import run_serve
from tests.detector.serve.test_watch import lines, words
from tests.support.browser import chromium
from tests.support.detecting import make_workplace, run
from tests.support.mqtt import broker, free_port, listening
from tests.support.serving import png, serving, tiny_settings, wait_until

LOGIN = "line3:a-password"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workplace(tmp_path_factory.mktemp("sinks"), photos=0)


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """Two photos, and one that is damaged and too old to be still on its way."""
    folder = tmp_path / "camera"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.png").write_bytes(png(number))
    (folder / "bad.png").write_bytes(png()[:300])
    os.utime(folder / "bad.png", (1_000_000, 1_000_000))
    return folder


def test_results_reach_a_broker_in_order_and_after_it_was_away(watched: Path, camera: Path, tmp_path: Path) -> None:
    port, out, login = free_port(), tmp_path / "out", tmp_path / "login"
    login.write_text(LOGIN + "\n")
    sink = ["--mqtt", f"mqtt://127.0.0.1:{port}/line3/results", "--mqtt-login", str(login)]
    script = "from detector.cli.app import main; main()"
    command = [sys.executable, "-c", script, *words(watched, camera, out, "--no-pictures", *sink)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: len(lines(out)) == 3)  # there is no broker yet, and the photos do not wait for it
            with broker(tmp_path, port, LOGIN), listening(port, "line3/#", LOGIN) as seen:
                wait_until(lambda: len(seen) >= 3)
                (camera / "later.png").write_bytes(png(7))
                wait_until(lambda: len(seen) >= 4)
                process.terminate()
                assert process.wait(60) == 0
                once = list(dict.fromkeys(seen))  # at least once: some may come twice
                assert [json.loads(body) for body in once] == lines(out)
        finally:
            process.kill()


def test_what_no_broker_took_is_counted(
    watched: Path, camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.serve.watch.sinks.waiting.LAST", 0.1)
    monkeypatch.setattr("detector.serve.watch.sinks.mqtt.PATIENCE", 0.1)
    address = f"mqtt://127.0.0.1:{free_port()}/line3"
    done = run(words(watched, camera, tmp_path / "out", "--once", "--mqtt", address))
    assert "3 results were not delivered to mqtt://127.0.0.1/line3" in done.stderr
    assert len(lines(tmp_path / "out")) == 3


def test_a_folder_gets_one_file_per_photo_in_a_folder_per_verdict(watched: Path, camera: Path, tmp_path: Path) -> None:
    for name, extra in (("ranked", []), ("judged", ["--threshold", "0"])):
        outbox = tmp_path / name
        run(words(watched, camera, tmp_path / f"{name}-out", "--once", "--deliver", str(outbox), *extra))
        files = sorted(path for path in outbox.rglob("*") if path.is_file())
        assert all(path.suffix == ".json" for path in files), "nothing half-written is left"
        verdict = "anomalous" if extra else "scored"
        assert sorted(path.parent.name for path in files) == sorted([verdict, verdict, "failed"])
        told = {path.stem.rpartition("-")[2]: json.loads(path.read_text()) for path in files}
        assert told == {Path(line["path"]).stem: line for line in lines(tmp_path / f"{name}-out")}


def test_a_folder_that_went_away_stops_no_watch(watched: Path, camera: Path, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    for name in ("scored", "failed"):
        (outbox / name).write_text("a file where a folder should be")
    done = run(words(watched, camera, tmp_path / "out", "--once", "--deliver", str(outbox)))
    assert "3 results could not be written" in done.stderr
    assert len(lines(tmp_path / "out")) == 3


def test_a_watch_rests_for_the_api_and_the_page_also_after_a_restart(
    watched: Path, camera: Path, tmp_path: Path
) -> None:
    out = tmp_path / "line3"
    run(words(watched, camera, out, "--once", "--no-pictures", "--threshold", "0"))
    with serving(tiny_settings(watched, watched=(out,))) as server, chromium() as browser:
        (about,) = server.client.get("/v1/watches").json()["watches"]
        assert (about["name"], about["done"], about["failed"], about["anomalous"]) == ("line3", 3, 1, 2)
        assert server.client.post("/v1/watches/line3/pause").json()["paused"]
        refused = server.client.post("/v1/watches/line4/pause")
        assert (refused.status_code, "one of: line3" in refused.text) == (404, True)
        assert server.client.post("/v1/watches/line3/erase").status_code == 422
        (camera / "later.png").write_bytes(png(7))
        script = "from detector.cli.app import main; main()"
        command = words(watched, camera, out, "--no-pictures", "--threshold", "0")
        with subprocess.Popen(
            [sys.executable, "-c", script, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stderr is not None
                assert "paused; send SIGUSR1 or delete" in process.stderr.readline()
                time.sleep(0.5)
                assert len(lines(out)) == 3
                page = browser.new_page()
                page.goto(server.url)
                row = page.locator("#watches tbody tr")
                assert "line3" in row.inner_text()
                row.get_by_role("button", name="Resume").click()
                row.get_by_role("button", name="Pause").wait_for()
                wait_until(lambda: len(lines(out)) == 4)
                page.get_by_role("cell", name="4", exact=True).wait_for()  # the table follows by itself
                row.get_by_role("button", name="Pause").click()
                row.get_by_role("button", name="Resume").wait_for()
                assert (out / "paused").is_file()
                process.terminate()
                assert process.wait(60) == 0
            finally:
                process.kill()
        assert (out / "paused").is_file(), "a pause outlives the watch"


def test_folders_that_no_watch_wrote_are_refused(watched: Path, tmp_path: Path) -> None:
    with pytest.raises(ForgeError, match="is no folder of a watch"):
        run_serve(tiny_settings(watched, watched=(tmp_path,)), browser=False)
    for name in ("a", "b"):
        (tmp_path / name / "out").mkdir(parents=True)
        (tmp_path / name / "out" / "watch.json").write_text("{}")
    folders = tuple(tmp_path / name / "out" for name in ("a", "b"))
    with pytest.raises(ForgeError, match="two folders called out"):
        run_serve(tiny_settings(watched, watched=folders), browser=False)
