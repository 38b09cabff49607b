"""TensorBoard events beside `metrics.jsonl`, for those who watch a run in a browser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detector.train.errors import TrainError
from detector.train.log import Report

FOLDER = "tensorboard"
"""Inside the run folder."""


@contextmanager
def board(folder: Path) -> Iterator[Callable[[Report], None]]:
    """Yields a listener for `Trainer` that writes every step; a resumed run repeats steps with the same values.

    Raises:
        TrainError: TensorBoard is not installed.
    """
    writer = _writer(folder)

    def listener(report: Report) -> None:
        scalars = {"loss": report.loss, "rate": report.rate, "images_per_second": report.images_per_second}
        scalars |= report.terms | {"memory_mb": report.memory_mb}
        if report.validation_loss is not None:
            scalars["held_out_loss"] = report.validation_loss
        for name, value in scalars.items():
            writer.add_scalar(f"{report.stage}/{name}", value, report.step)

    try:
        yield listener
    finally:
        writer.close()


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainError(
            "TensorBoard is not installed", hint="type: pip install tensorboard, or leave --tensorboard out"
        ) from error
    return SummaryWriter(str(folder))
