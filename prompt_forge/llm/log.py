"""Every exchange with a model, one JSON object a line, without secrets."""

import json
import os
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from prompt_forge.errors import ModelError, SettingsError
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.types import Completion, LanguageModel, Request


class ExchangeLog:
    """A file that threads and processes append to: each record is one `write` in append mode, readable by its owner."""

    def __init__(self, path: Path, redact: Redactor) -> None:
        self.path, self._redact = path, redact

    def append(self, record: dict[str, Any]) -> None:
        """Add one line.

        Raises:
            SettingsError: the file cannot be written.
        """
        line = self._redact(json.dumps(record, ensure_ascii=False)) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise SettingsError(f"the log {self.path} cannot be written ({error.strerror})") from error


class Records(NamedTuple):
    """What a log holds."""

    records: list[dict[str, Any]]
    """Oldest first."""
    damaged: int
    """Lines that are no record, such as one cut by a full disk."""


def read_log(path: Path, last: int | None = None) -> Records:
    """The `last` records of the log at `path` (all when None); none when there is no log yet."""
    kept: deque[dict[str, Any]] = deque(maxlen=last)
    damaged = 0
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                record = _record(line)
                damaged += record is None
                if record is not None:
                    kept.append(record)
    return Records(list(kept), damaged)


class Logged:
    """Writes what goes in and what comes out, failures included."""

    def __init__(self, inner: LanguageModel, log: ExchangeLog) -> None:
        self._inner, self._log = inner, log

    @property
    def endpoint(self) -> str:
        """Of the model behind."""
        return self._inner.endpoint

    @property
    def model(self) -> str:
        """Of the model behind."""
        return self._inner.model

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
        except ModelError as error:
            self._log.append({**entry, "error": {"kind": type(error).__name__, "message": str(error)}})
            raise
        self._log.append({**entry, "completion": completion.model_dump(mode="json")})
        return completion


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
