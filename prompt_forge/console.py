"""How results reach the screen: tables and JSON on stdout, everything else on stderr.

Texts from files and models are data: control characters and invisible direction marks never reach the terminal, and
nothing is read as markup.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from descriptions.common.terminal import printable

WIDE = 160
"""Columns of a table that goes into a pipe or a file."""


def safe(value: object) -> str:
    """One line of `value` that cannot drive a terminal; None is empty."""
    text = printable("" if value is None else str(value))
    hidden = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(sign) in {"Cf", "Cs"} else sign for sign in text
    )
    return " ".join(hidden.split())


def say(text: str) -> None:
    """Progress, hints and warnings: stderr."""
    typer.echo(safe(text), err=True)


def print_line(text: str) -> None:
    """One line of a result: stdout."""
    typer.echo(safe(text))


def print_json(value: Any) -> None:
    """One JSON document on stdout; control characters are escaped by JSON itself."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=not sys.stdout.isatty(), default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table on stdout, as wide as the terminal, or `WIDE` in a pipe."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, title=Text(safe(title)) if title else None, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False, emoji=False).print(table)
