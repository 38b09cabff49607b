"""What a watch leaves: `results.jsonl`, `results.csv` and pictures; all of it whole after a kill.

The line of the JSONL is what counts: it is on the disk before the photo counts as done. The table is made from it anew
at every start.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from descriptions.common.files import atomic_write
from detector.detect.detection import Failure, Row
from detector.detect.results import to_csv
from detector.errors import OutputError, cannot_write
from detector.scoring.threshold import Threshold
from detector.serve.watch.folder import Arrival

LINES, TABLE, SETTINGS = "results.jsonl", "results.csv", "watch.json"


class Line(NamedTuple):
    """One photo that is done."""

    path: str
    stamp: list[int]
    row: Row | None
    error: str


class WatchJournal:
    """The results of one folder.

    Args:
        out: folder; made when missing.
        settings: what decides a score: a folder holds results of one kind.
        threshold: behind the verdicts, for the table.

    Raises:
        OutputError: the folder cannot be written to, or holds results of other settings.
    """

    def __init__(self, out: Path, settings: dict[str, Any], threshold: Threshold | None) -> None:
        self.out, self.threshold = out, threshold
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._require_same(settings)
            self.lines = self._read()
            self._write_anew()
        except OSError as error:
            raise cannot_write(out, error) from error

    def _require_same(self, settings: dict[str, Any]) -> None:
        path = self.out / SETTINGS
        text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        if path.is_file() and path.read_text("utf-8") != text:
            raise OutputError(
                f"{self.out} holds results of other settings", expected="the same model, words and threshold",
                hint="name another --out",
            )  # fmt: skip
        atomic_write(path, text)

    def _read(self) -> list[Line]:
        """All whole lines; one that a kill cut short is left out, and its photo done again."""
        path, lines = self.out / LINES, []
        for text in path.read_bytes().splitlines() if path.is_file() else ():
            try:
                line = json.loads(text)
                lines.append(Line(line["path"], line["file"], line.get("row"), line.get("error", "")))
            except (ValueError, TypeError, KeyError):
                continue
        return lines

    def _write_anew(self) -> None:
        path = self.out / LINES
        if path.is_file() and not path.read_bytes().endswith(b"\n") and path.stat().st_size:
            whole = path.read_bytes().rpartition(b"\n")[0]
            atomic_write(path, whole + b"\n" if whole else b"")
        atomic_write(self.out / TABLE, to_csv([line.row for line in self.lines if line.row], self.threshold))

    def add(self, arrival: Arrival, result: Row | Failure) -> dict[str, Any]:
        """Keep one photo, on the disk before this returns; gives the line.

        Raises:
            OutputError: the disk is full, or the folder went away.
        """
        line: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        line |= {"path": str(arrival.path), "file": arrival.stamp}
        line |= {"error": result.error} if isinstance(result, Failure) else {"row": result}
        try:
            _append(self.out / LINES, json.dumps(line).encode() + b"\n")
            if not isinstance(result, Failure):
                row = to_csv([result], self.threshold).partition("\n")[2]
                _append(self.out / TABLE, row.encode())
        except OSError as error:
            raise cannot_write(self.out, error) from error
        return line


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
