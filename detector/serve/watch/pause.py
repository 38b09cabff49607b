"""A watch that rests: a file in its folder says so, so that a signal, the API, the page and a person with a shell can.

It lasts: a watch that is started again while the file is there goes on resting, and says so.
"""

import json
from pathlib import Path
from typing import NamedTuple

from descriptions.common.files import atomic_write
from detector.errors import cannot_write
from detector.serve.errors import ServeError
from detector.serve.watch.journal import LINES, SETTINGS

PAUSED = "paused"


class Pause:
    """Whether the watch of a folder rests.

    Args:
        out: the folder of its results.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / PAUSED

    def is_on(self) -> bool:
        """Whether it rests now."""
        return self.path.exists()

    def switch(self, on: bool) -> None:
        """Rest, or go on; saying so twice is no error.

        Raises:
            OutputError: the folder cannot be written to.
        """
        try:
            if on:
                atomic_write(self.path, "delete this file to go on\n")
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error


class Watched(NamedTuple):
    """What a watch has done so far, from its files."""

    name: str
    """Of its folder."""
    paused: bool
    done: int
    failed: int
    """Photos that could not be used."""
    anomalous: int
    last: str
    """When the last result was written; empty before the first."""


def read_watched(out: Path) -> Watched:
    """What stands in the folder of a watch; a line that is being written is left out.

    Raises:
        ServeError: no watch ever wrote there.
    """
    if not (out / SETTINGS).is_file():
        raise ServeError(f"{out} is no folder of a watch", expected="the --out of detector watch")
    path, lines = out / LINES, []
    for text in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    rows = [line["row"] for line in lines if line.get("row")]
    return Watched(
        name=out.resolve().name, paused=Pause(out).is_on(), done=len(lines), failed=len(lines) - len(rows),
        anomalous=sum(row.get("verdict") == "anomalous" for row in rows), last=lines[-1]["time"] if lines else "",
    )  # fmt: skip
