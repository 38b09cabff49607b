"""What detector commands print with: results on stdout, progress and warnings on stderr."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from descriptions.common.terminal import printable

WIDTH = 140
"""Columns of a table in a file or a pipe, which say nothing about their width."""


def stdout() -> Console:
    """For results; made on demand, so that redirected streams are honoured."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH
    return Console(file=sys.stdout, highlight=False, width=wide)


def stderr() -> Console:
    """For progress and warnings."""
    return Console(file=sys.stderr, highlight=False)


def encodable(text: str) -> str:
    """`text` with bytes of file names that are no UTF-8 spelt out, as JSON and Python spell them."""
    return text.encode("utf-8", "backslashreplace").decode()


def safe(value: object) -> str:
    """Text from files or models, without control characters and without rich markup."""
    return escape(printable(encodable(str(value))))


def warn(message: str) -> None:
    """One line on stderr."""
    stderr().print(f"[yellow]warning:[/] {safe(message)}", soft_wrap=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout and nothing else."""
    sys.stdout.write(encodable(json.dumps(document, ensure_ascii=False, indent=2)) + "\n")


def table(title: str, *columns: str) -> Table:
    """A table in the house style.

    Args:
        title: above the table; may be empty.
        columns: headings; those that start with `>` are numbers, aligned right, those that start with `!` hold names
            that stay on one line. In a narrow terminal the others are folded, never cut.
    """
    made = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        marks = column[: len(column) - len(column.lstrip(">!"))]
        made.add_column(column.lstrip(">!"), justify=justify, no_wrap="!" in marks, overflow="fold")
    return made


class SpeedColumn(ProgressColumn):
    """Items a second since the start; items come in batches, so the pace of the last one says nothing."""

    def render(self, task: Task) -> Text:
        """Such as `3.2/s`, empty until known."""
        return Text(f"{task.completed / task.elapsed:.1f}/s" if task.completed and task.elapsed else "")


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
