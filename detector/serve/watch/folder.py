"""Which files of a folder are photos that are written to the end."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import NamedTuple

from detector.errors import DetectorError
from detector.images.load import SUFFIXES
from detector.runs.journal import stamp

STEP_MS = 100
"""Milliseconds between two looks at files that are being written."""


class Arrival(NamedTuple):
    """A photo that is complete."""

    path: Path
    stamp: list[int]
    """See `detector.runs.journal.stamp`."""


class Arrivals:
    """Photos of a folder as they become complete: those that are there, and those that appear.

    A file is complete when neither its size nor its time changed for `settle` seconds. Hidden files, and files of other
    endings such as `.part`, are no photos: programs write under such names and rename.

    Args:
        folder: watched with all folders below.
        settle: seconds of rest.
        skip: folder of our own results.

    Raises:
        DetectorError: no such folder.
    """

    def __init__(self, folder: Path, settle: float, skip: Path) -> None:
        if not folder.is_dir():
            raise DetectorError(f"no folder {folder}", expected="the folder that a camera writes into")
        self.folder, self.settle, self.skip = folder.absolute(), settle, skip.resolve()
        self._rest: dict[Path, tuple[list[int], float]] = {}
        """Files that are not handed out yet: their stamp, and since when they have it."""
        self._given: dict[Path, list[int]] = {}

    def known(self, path: Path, seen: list[int]) -> None:
        """Leave out a file that was done before, unless it changed since."""
        self._given[path] = seen

    def look(self, paths: Sequence[Path] | None = None) -> None:
        """Take note of files: those named, or all there are."""
        now = time.monotonic()
        for path in self._photos() if paths is None else paths:
            if not self._is_photo(path) or (seen := stamp(str(path))) is None or self._given.get(path) == seen:
                self._rest.pop(path, None)
            elif path not in self._rest or self._rest[path][0] != seen:
                self._rest[path] = seen, now

    def complete(self) -> list[Arrival]:
        """Photos that came to rest, oldest first; each is given once."""
        self.look(list(self._rest))
        now = time.monotonic()
        ready = [Arrival(path, seen) for path, (seen, since) in self._rest.items() if now - since >= self.settle]
        for path, seen in ready:
            del self._rest[path]
            self._given[path] = seen
        return sorted(ready, key=lambda each: (each.stamp[1], each.path))

    def again(self, arrival: Arrival) -> None:
        """Wait for a photo once more that could not be read."""
        self._given.pop(arrival.path, None)
        self._rest[arrival.path] = arrival.stamp, time.monotonic()

    def follow(self, stop: Event, *, once: bool = False) -> Iterator[list[Arrival]]:
        """Complete photos, now and whenever some become complete, until stopped.

        Args:
            stop: set by whoever wants it to end.
            once: end when everything that is there is complete.
        """
        from watchfiles import watch

        self.look()
        if once:
            while not stop.is_set():
                yield self.complete()
                if not self._rest:
                    return
                time.sleep(STEP_MS / 1000)
            return
        changes = watch(
            self.folder, stop_event=stop, debounce=STEP_MS, step=20, rust_timeout=STEP_MS, yield_on_timeout=True,
            raise_interrupt=False, watch_filter=None,
        )  # fmt: skip
        self.look()  # what appeared before the watch began
        for change in changes:
            self.look([Path(name) for _, name in change if Path(name).is_file()])
            yield self.complete()

    def _photos(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def _is_photo(self, path: Path) -> bool:
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in self._inside(path).parts):
            return False
        return not path.resolve().is_relative_to(self.skip)

    def _inside(self, path: Path) -> Path:
        return path.relative_to(self.folder) if path.is_relative_to(self.folder) else Path(path.name)
