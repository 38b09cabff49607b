"""`detections.jsonl`: a line as soon as an image is done, so that nothing is lost when a run is stopped."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypedDict

from descriptions.common.files import atomic_write
from detector.detect.detection import Row
from detector.errors import OutputError, cannot_write
from detector.scoring.map_scale import MapSummary

NAME = "detections.jsonl"


class Line(TypedDict):
    """What is kept of one image; every line stands alone, so that a damaged one costs one image."""

    key: str
    """What the run was asked for, as a hash."""
    file: list[int] | None
    """See `stamp`."""
    row: Row
    map: MapSummary
    """Of its anomaly map; a list in the file."""


def stamp(path: str) -> list[int] | None:
    """Bytes and time of the last change in ns, which tell a replaced file; None where there is no file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


class Journal:
    """The lines of one folder.

    Lines of earlier runs stay, so that a run that was meant to be resumed still can be, after one that was not.

    Args:
        folder: of the results.
        key: everything that decides a row.
        files: images of this run, stamped before one of them is read.
        resume: take over rows of images that are still the files they were.
        whole: says of an image whether everything else that is kept of it is there.

    Raises:
        OutputError: the folder cannot be read, or holds lines of other keys only, which nobody can resume from.
    """

    def __init__(
        self,
        folder: Path,
        key: dict[str, Any],
        files: Iterable[str] = (),
        *,
        resume: bool,
        whole: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.path = folder / NAME
        self.key = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.stamps = {path: stamp(path) for path in files}
        try:
            self._lines = self._read()
        except OSError as error:
            raise cannot_write(folder, error) from error
        mine = {line["row"]["path"]: line for line in self._lines if line["key"] == self.key}
        if resume and self._lines and not mine:
            raise OutputError(
                f"{self.path} was made with other settings",
                expected="the same model, descriptions and options",
                hint="leave out --resume, or name another --out",
            )
        same = {path: line for path, line in mine.items() if line["file"] == self.stamps.get(path, -1)}
        known = {path: line for path, line in same.items() if whole(path)}
        self.lines = known if resume else {}
        """What is taken over, by path."""
        self.unused = 0 if resume else len(known)
        """Images that `resume` would have spared."""

    def start(self) -> None:
        """Write down what was found, so that new lines follow a whole one.

        Raises:
            OSError: the folder cannot be written to.
        """
        atomic_write(self.path, "".join(json.dumps(line) + "\n" for line in self._lines))

    def add(self, row: Row, map_summary: MapSummary) -> None:
        """Keep one finished image.

        Raises:
            OutputError: the disk is full, or the folder went away.
        """
        line = Line(key=self.key, file=self.stamps.get(row["path"]), row=row, map=map_summary)
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error

    def _read(self) -> list[Line]:
        """The last line of each key and image; what cannot be read, such as a last line cut short, is left out."""
        lines: dict[tuple[str, str], Line] = {}
        for text in self.path.read_bytes().splitlines() if self.path.is_file() else ():
            try:
                line = json.loads(text)
                median, peak, boxes = line["map"]
                summary = MapSummary(median, peak, tuple(boxes))
                if len(summary.boxes) != len(line["row"]["boxes"]):
                    continue
                entry = Line(key=line["key"], file=line["file"], row=line["row"], map=summary)
                lines[line["key"], line["row"]["path"]] = entry
            except (ValueError, TypeError, KeyError):
                continue
        return list(lines.values())
