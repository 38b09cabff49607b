"""One line of `metrics.jsonl` a step; a resumed run rewrites exactly the lines of the steps it repeats."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from descriptions.common.files import atomic_write
from detector.train.failures import full_disk


class Report(NamedTuple):
    """What one step did; also a line of `metrics.jsonl`."""

    stage: str
    stage_index: int
    epoch: int
    step: int
    steps: int
    loss: float
    terms: dict[str, float]
    rate: float
    images_per_second: float
    memory_mb: float
    validation_loss: float | None = None


def memory_mb(device: torch.device) -> float:
    """Peak memory so far in MB: the device's on a GPU, else the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def append_line(path: Path, report: Report) -> None:
    """Add one step to the log.

    Raises:
        InterruptedTrainingError: the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(report._asdict()) + "\n")
    except OSError as error:
        raise full_disk(path, error) from error


def truncate_log(path: Path, stage: int, step: int) -> None:
    """Drop the lines of steps that will be done again, a half-written last line included."""
    if not path.is_file():
        return
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if _before(line, stage, step)]
    atomic_write(path, "".join(f"{line}\n" for line in lines))


def _before(line: str, stage: int, step: int) -> bool:
    try:
        entry: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return False
    return (entry["stage_index"], entry["step"]) <= (stage, step)
