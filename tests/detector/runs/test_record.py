"""The record every run leaves, however it ends."""

import json

import pytest

from descriptions.common import terminal
from detector.errors import OutputError
from detector.runs import record as run
from detector.runs.record import read_run, recorded, write_run


def test_a_record_says_how_a_run_ended(tmp_path):
    with recorded(tmp_path, {"seed": 3}, command="detect") as outcome:
        assert read_run(tmp_path)["status"] == "running"
        outcome.status, outcome.results["images"] = "partial", 7
    record = read_run(tmp_path)
    assert (record["status"], record["settings"], record["images"]) == ("partial", {"seed": 3}, 7)
    assert record["versions"]["torch"]
    assert record["python"].startswith("3.")


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"), (ValueError("no image"), "failed", "no image")],
)
def test_what_stops_a_run_is_recorded_and_passed_on(tmp_path, error, status, reason):
    with pytest.raises(type(error)), recorded(tmp_path, {}, command="detect"):
        raise error
    record = read_run(tmp_path)
    assert (record["status"], record["reason"]) == (status, reason)


def test_a_full_disk_does_not_hide_what_stopped_a_run(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("full")

    def stop():
        monkeypatch.setattr(run, "atomic_write", full)
        raise ValueError("no image")

    with pytest.raises(ValueError, match="no image"), recorded(tmp_path, {}, command="detect"):
        stop()


def test_the_start_is_that_of_the_last_run(tmp_path):
    (tmp_path / "run.json").write_text('{"started": "long ago"}')
    write_run(tmp_path, {}, status="failed", command="detect")
    assert read_run(tmp_path)["started"] == "long ago"
    write_run(tmp_path, {}, status="running", command="detect")
    assert read_run(tmp_path)["started"] != "long ago"


def test_outside_a_checkout_and_without_a_package_the_record_still_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(run, "_PACKAGES", ("no-such-package",))
    write_run(tmp_path, {}, status="done", command="detect")
    assert read_run(tmp_path)["git_commit"] is None
    assert read_run(tmp_path)["versions"] == {}


def test_the_command_is_what_was_typed_and_empty_in_a_program(tmp_path, monkeypatch):
    monkeypatch.setattr(terminal, "_typed", [])
    monkeypatch.setattr("sys.argv", ["/usr/bin/detector", "detect", "a b.png"])
    write_run(tmp_path, {}, status="done", command="detect")
    assert read_run(tmp_path)["command"] == []
    with pytest.raises(SystemExit):
        terminal.run(lambda: write_run(tmp_path, {}, status="done", command="detect"))
    assert read_run(tmp_path)["command"] == ["detector", "detect", "a b.png"]


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_a_damaged_record_counts_as_none(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    assert read_run(tmp_path) is None


@pytest.mark.parametrize("record", [{"kind": "eval"}, {"command": ["/usr/bin/detector", "eval", "--data", "x"]}])
def test_the_results_of_another_command_are_not_written_over(tmp_path, record):
    before = json.dumps({**record, "status": "done"})
    (tmp_path / "run.json").write_text(before)
    with pytest.raises(OutputError, match=r"holds the results of `detector eval`; expected a folder of its own"):
        write_run(tmp_path, {}, status="running", command="detect")
    assert (tmp_path / "run.json").read_text() == before
    write_run(tmp_path, {}, status="running", command="eval")
    assert read_run(tmp_path)["kind"] == "eval"
