"""What was found out about an endpoint and model, kept for a day in a small file.

After a day it is found out again: a refusal may have been a failure that passed, or the server may have been updated.
"""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from descriptions.common.files import atomic_write

T = TypeVar("T")

DAY = 86400.0
"""Seconds that something is remembered."""


class _Found(NamedTuple, Generic[T]):
    """What was found out, and when (seconds since 1970)."""

    value: T
    at: float


class Daily(Generic[T]):
    """Values by endpoint and model, in a file when one is given.

    Args:
        path: of the file, shared by processes; the last writer wins.
        sound: the value that an entry of the file means, or None where it makes no sense.
        clock: seconds since 1970.
    """

    def __init__(
        self, path: Path | None, sound: Callable[[Any], T | None], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path, self._sound, self._clock = path, sound, clock
        self._lock = threading.Lock()
        self._known = self._read()

    def remembered(self, endpoint: str, model: str) -> T | None:
        """What was found out within the last day, or None."""
        entry = self._known.get(_key(endpoint, model))
        return entry.value if entry and 0 <= self._clock() - entry.at < DAY else None

    def remember(self, endpoint: str, model: str, value: T) -> None:
        """Keep `value` for a day; the same value again gets no new date, so that a day ends however busy it was."""
        with self._lock:
            if self.remembered(endpoint, model) == value:
                return
            self._known = {**self._read(), **self._known, _key(endpoint, model): _Found(value, self._clock())}
            if self._path is not None:
                with suppress(OSError):  # a folder that cannot be written only means finding out again
                    atomic_write(self._path, json.dumps(self._known, indent=1, sort_keys=True) + "\n")

    def forget(self, endpoint: str, model: str) -> None:
        """Find out again, in this run; the next answer is remembered as usual."""
        with self._lock:
            self._known = {key: entry for key, entry in self._known.items() if key != _key(endpoint, model)}

    def _read(self) -> dict[str, _Found[T]]:
        """What the file remembers; a missing or damaged file only means finding out again."""
        try:
            document = json.loads(self._path.read_text("utf-8")) if self._path else {}
        except (OSError, ValueError, RecursionError):
            return {}
        entries = document.items() if isinstance(document, dict) else ()
        return {str(key): value for key, entry in entries if (value := self._entry(entry)) is not None}

    def _entry(self, entry: object) -> _Found[T] | None:
        match entry:
            case [raw, int() | float() as at]:
                value = self._sound(raw)
                return None if value is None else _Found(value, at)
        return None


def _key(endpoint: str, model: str) -> str:
    return f"{endpoint} {model}"
