import sys

import pytest

from detector.train.errors import TrainError
from detector.train.log import Report
from detector.train.tensorboard import board

REPORT = Report("main", 0, 0, 1, 10, 1.5, {"focal": 0.5, "dice": 1.0}, 1.0, 3.2, 100.0)


def test_every_step_can_be_read_back(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with board(tmp_path / "tensorboard") as listener:
        listener(REPORT)
        listener(REPORT._replace(step=2, loss=1.25, validation_loss=2.0))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("main/loss")] == [(1, 1.5), (2, 1.25)]
    assert [(event.step, event.value) for event in events.Scalars("main/held_out_loss")] == [(2, 2.0)]
    assert {"main/focal", "main/dice", "main/rate"} <= set(events.Tags()["scalars"])


def test_without_tensorboard_one_line_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TrainError, match=r"TensorBoard is not installed; type: pip install tensorboard"):
        board(tmp_path).__enter__()
