"""How strictly structure can be asked for: json_schema, else json_object, else plain text; remembered per model.

Servers differ: llama.cpp and OpenAI honour a schema, llama-cpp-python answers it with HTTP 500, others accept and
ignore it. The first request finds out; later ones, also of later runs, start at the rung that held. What was found is
forgotten after a day: the refusal may have been a failure that passed, or the server may have been updated.
"""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, get_args

from descriptions.files import atomic_write
from prompt_forge.llm.types import Message, Mode, Request

RUNGS: tuple[Mode, ...] = get_args(Mode)
"""Strictest first."""

REFUSALS = frozenset({400, 415, 422, 500, 501})
"""Statuses by which servers refuse a `response_format`. 502-504 come from proxies and mean something else."""


DAY = 86400.0
"""Seconds that a rung is remembered."""


class _Found(NamedTuple):
    """The rung that held, and when that was found out (seconds since 1970)."""

    mode: Mode
    at: float


class Ladder:
    """Remembers the rung that held, in a file when one is given.

    Args:
        path: of the file, shared by processes; the last writer wins.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._lock = threading.Lock()
        self._known = _read(path)

    def rungs(self, endpoint: str, model: str) -> tuple[Mode, ...]:
        """The modes to try, in order."""
        known = self.remembered(endpoint, model)
        return RUNGS if known is None else RUNGS[RUNGS.index(known) :]

    def remembered(self, endpoint: str, model: str) -> Mode | None:
        """The rung that held within the last day, or None."""
        found = self._known.get(_key(endpoint, model))
        return found.mode if found and 0 <= self._clock() - found.at < DAY else None

    def remember(self, endpoint: str, model: str, mode: Mode) -> None:
        """Start at `mode` from now on, for a day; a whole answer has come at this rung."""
        with self._lock:
            if self.remembered(endpoint, model) == mode:
                return  # without a new date: the stricter rungs get their chance after a day, however busy it was
            self._known = {**_read(self._path), **self._known, _key(endpoint, model): _Found(mode, self._clock())}
            if self._path is not None:
                with suppress(OSError):  # a folder that cannot be written only means finding out again
                    atomic_write(self._path, json.dumps(self._known, indent=1, sort_keys=True) + "\n")

    def forget(self, endpoint: str, model: str) -> None:
        """Start at the top again, in this run; the next answer is remembered as usual."""
        with self._lock:
            self._known = {key: found for key, found in self._known.items() if key != _key(endpoint, model)}


def response_format(request: Request, mode: Mode) -> dict[str, Any] | None:
    """The `response_format` parameter, or None for plain text."""
    if request.json_schema is None or mode == "text":
        return None
    if mode == "json_object":
        return {"type": "json_object", "schema": request.json_schema}
    schema = {"name": request.schema_name, "schema": request.json_schema, "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def messages_for(request: Request, mode: Mode) -> tuple[Message, ...]:
    """The messages; below the first rung the last one also says in words what the server may not enforce."""
    if request.json_schema is None or mode == "json_schema":
        return request.messages
    schema = json.dumps(request.json_schema, sort_keys=True, ensure_ascii=False)
    rule = f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{schema}"
    last = request.messages[-1]
    return (*request.messages[:-1], last.model_copy(update={"content": f"{last.content}\n\n{rule}"}))


def _key(endpoint: str, model: str) -> str:
    return f"{endpoint} {model}"


def _read(path: Path | None) -> dict[str, _Found]:
    """What the file remembers; a missing or damaged file only means finding out again."""
    try:
        kept = json.loads(path.read_text("utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    entries = kept.items() if isinstance(kept, dict) else ()
    return {str(key): _Found(*entry) for key, entry in entries if _sound(entry)}


def _sound(entry: object) -> bool:
    match entry:
        case [str(mode), int() | float()]:
            return mode in RUNGS
    return False
