import json

import pytest

from detector.train import progress, record
from detector.train.log import Report

REPORT = Report("main", 0, 0, 1, 10, 1.5, {"focal": 0.5, "dice": 1.0}, 1.0, 3.2, 100.0, 1.25)


def test_a_record_says_how_a_run_ended(tmp_path):
    with record.recorded(tmp_path, {"seed": 3}):
        assert json.loads((tmp_path / "run.json").read_text())["status"] == "running"
    done = json.loads((tmp_path / "run.json").read_text())
    assert (done["status"], done["seed"]) == ("done", 3)
    assert done["versions"]["python"].startswith("3.")


def test_ctrl_c_is_recorded_and_passed_on(tmp_path):
    with pytest.raises(KeyboardInterrupt), record.recorded(tmp_path, {}):
        raise KeyboardInterrupt
    assert json.loads((tmp_path / "run.json").read_text())["reason"] == "KeyboardInterrupt"


def test_outside_a_checkout_and_without_a_package_the_record_still_stands(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert record.git_commit() is None
    monkeypatch.setattr(record, "PACKAGES", ("no-such-package",))
    assert record.versions()["no-such-package"] == "not installed"


def test_a_step_in_one_line():
    line = progress.describe(REPORT)
    assert line == "main epoch 1 loss 1.500 (focal 0.500 dice 1.000) held-out 1.250 3.2 images/s 100 MB"


def test_lines_come_now_and_then_where_there_is_no_terminal(capsys):
    with progress.shown() as listener:
        listener(REPORT)
        listener(REPORT._replace(step=2))
        listener(REPORT._replace(step=10))
    lines = capsys.readouterr().err.splitlines()
    assert sum("epoch" in line for line in lines) == 2


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.shown() as listener:
        listener(REPORT)
        listener(REPORT._replace(step=10))
    assert "main epoch 1" in capsys.readouterr().err
