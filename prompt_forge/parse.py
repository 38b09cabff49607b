"""From a model's answer to candidates. An answer is data: it is never rendered, never a path, and always bounded."""

import json
import re
import unicodedata
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from descriptions.schema import MAX_TEXT

MAX_ANSWER = 50_000
"""Characters of an answer that are looked at."""
MAX_CANDIDATES = 200

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
_BULLET = re.compile(r"^\s*(?:[-*\u2022\u2013+]|\(?\d{1,3}[.):])\s+")
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_PUNCTUATION = str.maketrans({"\u2018": "'", "\u2019": "'", "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-"})


class Candidate(NamedTuple):
    """A phrase before it is judged."""

    text: str
    family: str | None = None
    part: str | None = None
    mean_logprob: float | None = None
    """Mean natural log-probability of its tokens, where the model gives it."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    text: Annotated[str, Field(min_length=3, max_length=MAX_TEXT)]
    """How the defect looks: 2 to 8 lower-case words, without the product's name and without a position."""
    family: Annotated[str, Field(max_length=MAX_TEXT)] | None = None
    """Kind of defect in one to three words."""
    part: Annotated[str, Field(max_length=MAX_TEXT)] | None = None
    """Affected part of the product, or null."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    anomalies: Annotated[list[_Entry], Field(min_length=1, max_length=MAX_CANDIDATES)]


def clean(text: str) -> str:
    r"""One line of lower-case plain text: no terminal escapes, control characters, quotes, markup or outer punctuation.

    >>> clean('  "Deep   CRACK in the cap."\x1b[31m')
    'deep crack in the cap'
    """
    text = _ESCAPES.sub("", text[:MAX_ANSWER])
    text = unicodedata.normalize("NFKC", text.translate(_PUNCTUATION))
    text = "".join(" " if unicodedata.category(char).startswith(("C", "Z")) else char for char in text)
    return " ".join(text.split()).strip(" \"'`*_.,;:!?-").lower()[:MAX_TEXT].rstrip()


def one_phrase(answer: str) -> str:
    """The first line of an answer that should be one phrase."""
    return clean(answer.strip().partition("\n")[0])


def from_lines(answer: str) -> list[Candidate]:
    """Candidates of a plain list: one on each line, or separated by commas when there is one line only."""
    lines = [line for line in answer[:MAX_ANSWER].splitlines() if line.strip()]
    if len(lines) == 1:
        lines = re.split(r"[,;]", lines[0])
    elif any(_BULLET.match(line) for line in lines):
        lines = [line for line in lines if _BULLET.match(line)]
    phrases = (clean(_BULLET.sub("", line)) for line in lines[:MAX_CANDIDATES])
    return [Candidate(phrase) for phrase in phrases if phrase]


def from_json(answer: str) -> list[Candidate]:
    """Candidates of an answer to `answer_schema`.

    Raises:
        ValueError: it is not JSON or does not fit; the message says where, in words a model can act on.
    """
    try:
        entries = _Answer.model_validate(_document(answer[:MAX_ANSWER])).anomalies
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)[:5])
        raise ValueError("; ".join(problems)) from error
    return [
        Candidate(clean(entry.text), clean(entry.family or "") or None, clean(entry.part or "") or None)
        for entry in entries
    ]


def _document(answer: str) -> Any:
    """The JSON in an answer, whether bare, fenced, or surrounded by chatter."""
    fenced = _FENCE.search(answer)
    text = fenced[1] if fenced else answer[answer.find("{") : answer.rfind("}") + 1]
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the answer is not JSON: {error}") from error


def answer_schema(count: int) -> dict[str, Any]:
    """JSON schema of an answer with `count` entries, free of references and of what servers ignore or refuse."""
    entry = _Entry.model_json_schema()
    properties = {
        name: {"type": "string" if name == "text" else ["string", "null"], "description": field.get("description", "")}
        for name, field in entry["properties"].items()
    }
    item = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    entries = {"type": "array", "items": item, "minItems": 1, "maxItems": max(count, 1)}
    return {
        "type": "object",
        "properties": {"anomalies": entries},
        "required": ["anomalies"],
        "additionalProperties": False,
    }
