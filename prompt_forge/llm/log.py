"""Every exchange with a model, one JSON object a line, without secrets."""

import json
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from descriptions.common.errors import SettingsError
from descriptions.common.settings import FILE
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.types import Completion, LanguageModel, Request
from prompt_forge.llm.wrapper import Wrapper

try:
    import fcntl
except ImportError:  # Windows: appending keeps lines whole, and nothing is put aside
    fcntl = None  # type: ignore[assignment]

LARGEST = 50_000_000
"""Bytes after which a log is put aside; one older log is kept, so twice as much is on the disk at most."""


class ExchangeLog:
    """A file that threads and processes append to in turn, one whole line each, readable by its owner.

    Args:
        path: of the file; its folder is created when missing.
        redact: takes the secrets out.
        largest: bytes after which it is put aside.
    """

    def __init__(self, path: Path, redact: Redactor, *, largest: int = LARGEST) -> None:
        self.path, self._redact, self._largest = path, redact, largest

    def append(self, record: dict[str, Any]) -> None:
        """Add one line.

        Raises:
            SettingsError: the file cannot be written.
        """
        line = self._redact(json.dumps(record, ensure_ascii=False)) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._turn() as handle:
                rest = memoryview(_separator(handle) + line.encode("utf-8", "backslashreplace"))
                while rest:
                    rest = rest[os.write(handle, rest) :]
        except OSError as error:
            problem = f"the log {self.path} cannot be written ({error.strerror})"
            raise SettingsError(problem, hint=f"set log_file in table [model] of {FILE}") from error

    @contextmanager
    def _turn(self) -> Iterator[int]:
        """The open log, held alone; a full one is put aside first."""
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _hold(handle)
                if not _is_at(handle, self.path):
                    continue  # put aside by somebody else while we waited
                if fcntl is not None and os.fstat(handle).st_size >= self._largest:
                    self.path.replace(older(self.path))
                    continue
                yield handle
                return
            finally:
                os.close(handle)


def older(path: Path) -> Path:
    """Where the log at `path` is put aside."""
    return path.with_name(path.name + ".1")


class Records(NamedTuple):
    """What a log holds."""

    records: list[dict[str, Any]]
    """Oldest first."""
    damaged: int
    """Lines that are no record, such as one cut by a full disk."""


def read_log(path: Path, last: int | None = None) -> Records:
    """The `last` records of the log at `path` and the older one beside it (all when None); none before the first."""
    records: deque[dict[str, Any]] = deque(maxlen=last)
    damaged = 0
    for part in (older(path), path):
        for line in _lines(part):
            record = _record(line)
            damaged += record is None
            if record is not None:
                records.append(record)
    return Records(list(records), damaged)


class Logged(Wrapper):
    """Writes what goes in and what comes out, failures included."""

    def __init__(self, inner: LanguageModel, log: ExchangeLog) -> None:
        super().__init__(inner)
        self._log = log

    def complete(self, request: Request) -> Completion:
        """What the model behind answers."""
        entry: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "endpoint": self.endpoint,
            "digest": request.digest,
            "request": request.model_dump(mode="json"),
        }
        try:
            completion = self._inner.complete(request)
        except Exception as error:  # whatever it is, it is the end of this exchange
            self._log.append({**entry, "error": {"kind": type(error).__name__, "message": str(error)}})
            raise
        self._log.append({**entry, "completion": completion.model_dump(mode="json")})
        return completion


def _hold(handle: int) -> None:
    """Wait until nobody else writes; file systems without locks make do with append mode."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _separator(handle: int) -> bytes:
    """A line end when the last record was cut short, say by a full disk; otherwise nothing."""
    end = os.lseek(handle, 0, os.SEEK_END)
    if not end:
        return b""
    os.lseek(handle, end - 1, os.SEEK_SET)
    return b"" if os.read(handle, 1) == b"\n" else b"\n"


def _lines(path: Path) -> Iterator[str]:
    if path.is_file():
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            yield from lines


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
