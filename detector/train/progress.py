"""What a person sees while training runs, on stderr: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from detector.console import stderr
from detector.train.log import Report

SECONDS = 30.0
"""Between lines where there is no terminal."""


@contextmanager
def shown() -> Iterator[Callable[[Report], None]]:
    """Yields a listener for `Trainer`."""
    console = stderr()
    if not console.is_terminal:
        yield _lines(console.print)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks = {}

        def listener(report: Report) -> None:
            if report.stage not in tasks:
                tasks[report.stage] = bar.add_task(report.stage, total=report.steps)
            bar.update(tasks[report.stage], completed=report.step, description=describe(report))

        yield listener


def describe(report: Report) -> str:
    """Stage, epoch, loss terms, speed and memory of one step, in one line."""
    terms = " ".join(f"{name} {value:.3f}" for name, value in report.terms.items())
    checked = "" if report.validation_loss is None else f" held-out {report.validation_loss:.3f}"
    speed = f"{report.images_per_second:.1f} images/s {report.memory_mb:.0f} MB"
    return f"{report.stage} epoch {report.epoch + 1} loss {report.loss:.3f} ({terms}){checked} {speed}"


def _lines(write: Callable[[str], None]) -> Callable[[Report], None]:
    last = [-SECONDS]

    def listener(report: Report) -> None:
        now = time.monotonic()
        if now - last[0] >= SECONDS or report.step == report.steps:
            last[0] = now
            write(f"{report.step}/{report.steps} {describe(report)}")

    return listener
