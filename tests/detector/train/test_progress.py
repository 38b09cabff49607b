"""What a training run shows while it goes on."""

from detector.train import progress
from detector.train.log import Report

REPORT = Report("main", 0, 0, 1, 10, 1.5, {"focal": 0.5, "dice": 1.0}, 1.0, 3.2, 100.0, 1.25)


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
