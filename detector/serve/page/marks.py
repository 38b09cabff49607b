"""The file that people's marks are added to, a line at a time; `detector.data.marks` says what a line holds."""

import hashlib
import json
import os
import threading
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from detector.data.marks import Marks, parse_marks
from detector.errors import cannot_write
from detector.serve.errors import ServeError
from detector.serve.page.album import Photo

Label = Literal["good", "defective", "right", "wrong"]
LABELS: dict[bool, tuple[str, ...]] = {False: ("good", "defective"), True: ("right", "wrong")}
"""By whether a phrase is marked."""


class MarkFile:
    """The file that marks are added to.

    Args:
        path: of the file; made with the first mark.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def add(self, photo: Photo, category: str, label: str | None, by: str, phrase: str | None = None) -> None:
        """Add one line, on the disk before this returns.

        Raises:
            ServeError: a label that does not go with what is marked.
            OutputError: the file cannot be written.
        """
        if label is not None and label not in LABELS[phrase is not None]:
            raise ServeError(f"label {label[:40]!r}", expected=" or ".join(LABELS[phrase is not None]))
        mark: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "by": by,
            "photo": {"sha256": content(photo), "path": os.fsencode(photo.path).decode("utf-8", "backslashreplace")},
            "category": category,
        }
        mark |= ({"phrase": phrase} if phrase is not None else {}) | {"label": label}
        line = json.dumps(mark, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            raise cannot_write(self.path, error, "another --marks") from error

    def _append(self, line: bytes) -> None:
        """One write for the whole line; a line that a kill cut short before is ended first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(handle).st_size
            cut = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, (b"\n" if cut else b"") + line)
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self) -> Marks:
        """What holds now; lines that cannot be read are left out."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            lines = []
        return parse_marks(lines)


def content(photo: Photo) -> str:
    """SHA-256 of a photo's file."""
    return _digest(photo.path, photo.key)


@lru_cache(maxsize=4096)
def _digest(path: Path, _: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
