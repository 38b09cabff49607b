"""What detector commands print with: results on stdout, progress and warnings on stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from descriptions.terminal import printable


def stdout() -> Console:
    """For results; made on demand, so that redirected streams are honoured."""
    return Console(file=sys.stdout, highlight=False)


def stderr() -> Console:
    """For progress and warnings."""
    return Console(file=sys.stderr, highlight=False)


def safe(value: object) -> str:
    """Text from files or models, without control characters and without rich markup."""
    return escape(printable(str(value)))


def warn(message: str) -> None:
    """One line on stderr."""
    stderr().print(f"[yellow]warning:[/] {safe(message)}", soft_wrap=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout and nothing else."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def table(title: str, *columns: str) -> Table:
    """A table in the house style; columns that start with `>` are numbers, aligned right."""
    made = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        number = column.startswith(">")
        made.add_column(column.removeprefix(">"), justify="right" if number else "left", no_wrap=number)
    return made


class SpeedColumn(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        """Such as `3.2/s`, empty until known."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Any]:
    """A bar on stderr with speed and time left; yields a function that advances it by one.

    Nothing is drawn when stderr is no terminal.
    """
    console = stderr()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(safe(label), total=total)
        yield lambda: bar.advance(task)
