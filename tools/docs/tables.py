"""Markdown tables."""

import re
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are used as they are, and a column in which no row says anything is left out."""
    columns = [place for place, column in enumerate(zip(*rows, strict=True)) if any(column)]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line[place] for place in columns) + " |" for line in lines)


def cell(text: str) -> str:
    """Running text that keeps its place in a cell."""
    flat = re.sub(r"\s+", " ", text).strip().replace("|", r"\|")
    pieces = flat.split("`")  # every second piece is code, where < may stand as it is
    return "`".join(piece if place % 2 else piece.replace("<", "&lt;") for place, piece in enumerate(pieces))
