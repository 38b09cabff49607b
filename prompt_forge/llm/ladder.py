"""How strictly structure can be asked for: json_schema, else json_object, else plain text; remembered per model.

Servers differ: llama.cpp and OpenAI honour a schema, llama-cpp-python answers it with HTTP 500, others accept and
ignore it. The first request finds out; later ones, also of later runs, start at the rung that held.
"""

import json
import threading
from pathlib import Path
from typing import Any, get_args

from descriptions.files import atomic_write
from prompt_forge.llm.types import Message, Mode, Request

RUNGS: tuple[Mode, ...] = get_args(Mode)
"""Strictest first."""

REFUSALS = frozenset({400, 415, 422, 500, 501})
"""Statuses by which servers refuse a `response_format`. 502-504 come from proxies and mean something else."""


class Ladder:
    """Remembers the rung that held, in a file when one is given."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known = _read(path)

    def rungs(self, endpoint: str, model: str) -> tuple[Mode, ...]:
        """The modes to try, in order."""
        known = self.remembered(endpoint, model)
        return RUNGS if known is None else RUNGS[RUNGS.index(known) :]

    def remembered(self, endpoint: str, model: str) -> Mode | None:
        """The rung that held last time, or None when there was no last time."""
        return self._known.get(_key(endpoint, model))

    def remember(self, endpoint: str, model: str, mode: Mode) -> None:
        """Start at `mode` from now on."""
        with self._lock:
            if self._known.get(_key(endpoint, model)) == mode:
                return
            self._known = {**_read(self._path), **self._known, _key(endpoint, model): mode}
            if self._path is not None:
                atomic_write(self._path, json.dumps(self._known, indent=1, sort_keys=True) + "\n")

    def forget(self, endpoint: str, model: str) -> None:
        """Start at the top again, in this run; the next answer is remembered as usual."""
        with self._lock:
            self._known = {key: mode for key, mode in self._known.items() if key != _key(endpoint, model)}


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


def _read(path: Path | None) -> dict[str, Mode]:
    """What the file remembers; a missing or damaged file only means finding out again."""
    try:
        known = json.loads(path.read_text("utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return {str(key): mode for key, mode in known.items() if mode in RUNGS} if isinstance(known, dict) else {}
