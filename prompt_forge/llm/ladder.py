"""How strictly structure can be asked for: json_schema, else json_object, else plain text; remembered per model.

Servers differ: llama.cpp and OpenAI honour a schema, llama-cpp-python answers it with HTTP 500, others accept and
ignore it. The first request finds out; later ones, also of later runs, start at the rung that held, for a day.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from prompt_forge.llm.daily import DAY as DAY
from prompt_forge.llm.daily import Daily
from prompt_forge.llm.types import Message, Mode, Request

RUNGS: tuple[Mode, ...] = get_args(Mode)
"""Strictest first."""

REFUSALS = frozenset({400, 415, 422, 500, 501})
"""Statuses by which servers refuse a `response_format`. 502-504 come from proxies and mean something else."""


class Ladder:
    """Remembers the rung that held, in a file when one is given.

    Args:
        path: of the file, shared by processes; the last writer wins.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._daily: Daily[Mode] = Daily(path, _mode, clock=clock)

    def rungs(self, endpoint: str, model: str) -> tuple[Mode, ...]:
        """The modes to try, in order."""
        known = self.remembered(endpoint, model)
        return RUNGS if known is None else RUNGS[RUNGS.index(known) :]

    def remembered(self, endpoint: str, model: str) -> Mode | None:
        """The rung that held within the last day, or None."""
        return self._daily.remembered(endpoint, model)

    def remember(self, endpoint: str, model: str, mode: Mode) -> None:
        """Start at `mode` from now on, for a day; a whole answer has come at this rung."""
        self._daily.remember(endpoint, model, mode)

    def forget(self, endpoint: str, model: str) -> None:
        """Start at the top again, in this run; the next answer is remembered as usual."""
        self._daily.forget(endpoint, model)


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


def _mode(raw: object) -> Mode | None:
    return next((mode for mode in RUNGS if mode == raw), None)
