"""What is sent with a request, and what of it a server refuses: that is left out, remembered for a day, and said.

Reasoning models take no `temperature` but 1, some servers no `seed`, newer OpenAI models know the limit as
`max_completion_tokens` only, Gemma's chat template takes no system role. Servers name the culprit in `param`, in
pydantic's `loc`, or in a sentence.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openai import APIStatusError

from prompt_forge.llm.bodies import server_words
from prompt_forge.llm.daily import Daily
from prompt_forge.llm.ladder import REFUSALS, messages_for, response_format
from prompt_forge.llm.types import Message, Mode, Request

SYSTEM = "system role"
"""Left out: instructions go in front of the first question instead."""
OLD_LIMIT, NEW_LIMIT = "max_tokens", "max_completion_tokens"
FORMAT = "response_format"

DROPPABLE = ("temperature", "seed", "top_p", "stop", "logprobs", OLD_LIMIT, NEW_LIMIT, SYSTEM)
"""What can be left out of a request."""

_STATUSES = REFUSALS | {404}
_NO = re.compile(
    r"unsupported|not (?:be )?(?:support|allow|permit|accept|enabled|available|recogni|compatible|valid|implemented)"
    r"|(?:does|do|did|is|are|must|can|could|will)(?: not|n['\u2019]t)\b|cannot|unknown|unrecogni|unexpected|unavailable"
    r"|invalid|deprecated|extra|only\b|instead|no longer|remove|must be|alternate|forbidden|disabled",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"too (?:large|high|many|long|big)|at most|exceed|context|less than or equal|maximum", re.IGNORECASE
)
_SYSTEM = re.compile(
    r"(?:system|developer)['\"`]?[ _-]*(?:role|message|instruction|prompt)|(?:role|roles|message)\b.*\bsystem\b"
    r"|roles must alternate|only user and assistant roles|\brole\b.*\bdeveloper\b",
    re.IGNORECASE | re.DOTALL,
)
_FORMAT = re.compile(r"response_?format|json_schema|json_object|structured output|guided", re.IGNORECASE)


class Refused:
    """Remembers what endpoints refuse.

    Args:
        path: of the file, shared by processes; None keeps it for this run only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._daily: Daily[tuple[str, ...]] = Daily(path, _names)

    def of(self, endpoint: str, model: str) -> tuple[str, ...]:
        """What to leave out from the start."""
        return self._daily.remembered(endpoint, model) or ()

    def remember(self, endpoint: str, model: str, names: tuple[str, ...]) -> None:
        """A whole answer came without `names`."""
        if names:
            self._daily.remember(endpoint, model, names)

    def forget(self, endpoint: str, model: str) -> None:
        """Send everything again."""
        self._daily.forget(endpoint, model)


def parameters(request: Request, mode: Mode, without: Sequence[str]) -> dict[str, Any]:
    """The body of a chat request, less what the server refuses."""
    sampling = request.sampling
    messages = messages_for(request, mode)
    if SYSTEM in without:
        messages = _without_system(messages)
    limit = next((name for name in (OLD_LIMIT, NEW_LIMIT) if name not in without), None)
    optional = {
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        "top_p": sampling.top_p,
        "stop": list(sampling.stop) if sampling.stop and request.json_schema is None else None,
        "logprobs": request.logprobs or None,
        **({limit: sampling.max_tokens} if limit else {}),
    }
    return {
        "model": request.model,
        "messages": [message.model_dump() for message in messages],
        **{name: value for name, value in optional.items() if value is not None and name not in without},
        **({FORMAT: answer_format} if (answer_format := response_format(request, mode)) else {}),
    }


def culprit(error: APIStatusError, left_out: Sequence[str] = ()) -> str | None:
    """The parameter that a refusal is about, one of `DROPPABLE` or `FORMAT`; None where it names none.

    Args:
        error: what the server answered.
        left_out: was not sent, so that another one is meant where the server names several.
    """
    if error.status_code not in _STATUSES:
        return None
    words, code = server_words(error.body) or error.message, f"{error.code or ''} {error.type or ''}"
    named = str(error.param or "").replace("body.", "")
    if named.startswith("messages"):
        return SYSTEM if _SYSTEM.search(f"role {words}") or "role" in named else None
    stem = re.split(r"[.\[]", named)[0]
    if stem == FORMAT or (stem in DROPPABLE and not _is_about_the_value(stem, words)):
        return stem
    if stem in DROPPABLE or not _NO.search(f"{words} {code}"):
        return None
    mentioned = [(match.start(), name) for name in DROPPABLE if (match := re.search(_mention(name), words))]
    if NEW_LIMIT not in left_out and OLD_LIMIT not in left_out:
        left_out = (*left_out, NEW_LIMIT)  # named as the way out
    first = min(mentioned, key=lambda one: (one[1] in left_out, one), default=(0, ""))[1]
    if first:
        return None if _is_about_the_value(first, words) else first
    if _FORMAT.search(words):
        return FORMAT
    return SYSTEM if _SYSTEM.search(words) else None


def _mention(name: str) -> str:
    """How a sentence names a parameter; `stop` is also an ordinary word."""
    return r"['\"`]stop['\"`]|\bstop (?:parameter|sequence)|parameter:? stop\b" if name == "stop" else rf"\b{name}\b"


def shown_names(names: Sequence[str]) -> tuple[str, ...]:
    """`names` as people are told: a limit that only goes by its other name is not left out."""
    both = {OLD_LIMIT, NEW_LIMIT} <= set(names)
    return tuple(name for name in names if name not in {OLD_LIMIT, NEW_LIMIT} or (both and name == OLD_LIMIT))


def _is_about_the_value(name: str, words: str) -> bool:
    """Whether a limit is only too large: it is known, and leaving it out would help nobody."""
    return name in {OLD_LIMIT, NEW_LIMIT} and bool(_VALUE.search(words)) and "instead" not in words.lower()


def _without_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same conversation where the instructions stand in front of the first question."""
    rules = "\n\n".join(message.content for message in messages if message.role == "system")
    rest = [message for message in messages if message.role != "system"]
    if not rules or not rest or rest[0].role != "user":
        return tuple([Message(role="user", content=rules)] if rules else []) + tuple(rest)
    return (Message(role="user", content=f"{rules}\n\n{rest[0].content}"), *rest[1:])


def _names(raw: object) -> tuple[str, ...] | None:
    return tuple(name for name in raw if name in DROPPABLE) if isinstance(raw, list) else None
