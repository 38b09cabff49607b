"""From a model's answer to candidates. An answer is data: it is never rendered, never a path, and always bounded."""

import re
import unicodedata
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from descriptions.format.schema import MAX_TEXT
from prompt_forge.llm.loose_json import documents
from prompt_forge.llm.thinking import without_thinking

MAX_ANSWER = 50_000
"""Characters of an answer that are looked at."""
MAX_CANDIDATES = 200
"""Entries of an answer that are looked at."""
_SHOWN = 80
"""Characters of a dropped entry that are shown."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
_BULLET = re.compile(r"^\s*(?:[-*\u2022\u2013+]|\(?\d{1,3}[.):])\s+")
_PROSE = re.compile(r"\s*(?:i|i['\u2019]m|sorry|as an ai|unfortunately)\b", re.IGNORECASE)
"""How a model begins that declines instead of listing."""
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
    """The first line, thoughts aside, of an answer that should be one phrase."""
    return clean(without_thinking(answer[:MAX_ANSWER]).partition("\n")[0])


class Answer(NamedTuple):
    """What stood in one answer."""

    candidates: list[Candidate]
    """Entries that can be read, in order."""
    dropped: list[tuple[str, str]]
    """Text and reason of every entry that cannot."""


def from_lines(answer: str) -> list[Candidate]:
    """The candidates of `read_lines`."""
    return read_lines(answer).candidates


def from_json(answer: str) -> list[Candidate]:
    """The candidates of `read_json`."""
    return read_json(answer).candidates


def read_lines(answer: str) -> Answer:
    """A plain list: one entry on each line, or separated by commas when there is one line only.

    Raises:
        ValueError: it holds no list; the message says what it is, in words a model can act on.
    """
    text = without_thinking(answer[:MAX_ANSWER])
    if not text:
        raise ValueError("the answer holds thoughts only; expected a list, one entry on each line")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("```")]
    if _PROSE.match(lines[0] if lines else "") and not any(_BULLET.match(line) for line in lines):
        raise ValueError(f"the answer is no list: it begins with {' '.join(text[:80].split())!r}")
    if len(lines) == 1:
        lines = re.split(r"[,;]", lines[0])
    elif any(_BULLET.match(line) for line in lines):
        lines = [line for line in lines if _BULLET.match(line)]
    return _sorted_out([{"text": _BULLET.sub("", line)} for line in lines], shortest=1)


def read_json(answer: str) -> Answer:
    """An answer to `answer_schema`; an entry that does not fit is left out and named, the others stay.

    Raises:
        ValueError: it is not JSON, or holds no entry that fits; the message says where, in words a model can act on.
    """
    text = without_thinking(answer[:MAX_ANSWER])
    if not text:
        raise ValueError("the answer is not JSON: it holds thoughts only")
    read = _sorted_out(_entries(documents(text)))
    if not read.candidates:
        raise ValueError("; ".join(f"anomalies.{at}.text {why}" for at, (_, why) in enumerate(read.dropped[:5])))
    return read


def _entries(values: list[Any]) -> list[Any]:
    """The list of entries in what an answer holds; where it holds several, the last one counts.

    Raises:
        ValueError: there is none.
    """
    if values and all(isinstance(value, dict) and "text" in value for value in values):
        return values  # entries one below the other
    problem = ""
    for value in reversed(values):
        entries = value.get("anomalies") if isinstance(value, dict) else value
        if isinstance(entries, dict):
            entries = [entries]
        if isinstance(entries, list) and entries:
            return entries
        problem = problem or _why_no_entries(value, entries)
    raise ValueError(problem)


def _why_no_entries(value: Any, entries: Any) -> str:
    if isinstance(entries, list):
        return "anomalies: the list is empty; expected at least 1 entry"
    if isinstance(value, dict) and "anomalies" in value:
        return f"anomalies is {_kind(entries)}; expected a list of entries"
    keys = ", ".join(map(str, value)) if value else "nothing"
    return f"anomalies: Field required; expected an object with the list anomalies, not one with {keys[:80]}"


def _sorted_out(entries: list[Any], *, shortest: int = 3) -> Answer:
    """Entries as candidates, and those that cannot be one with the reason."""
    read = Answer([], [])
    for place, entry in enumerate(entries):
        fields = entry if isinstance(entry, dict) else {"text": entry}
        text = fields.get("text")
        if place >= MAX_CANDIDATES:
            problem = f"comes after {MAX_CANDIDATES} others"
        else:
            problem = _problem(text, shortest) if "text" in fields else "is missing"
        if problem:
            name = clean(text)[:_SHOWN] if isinstance(text, str) else ""
            read.dropped.append((name or f"entry {place + 1}", problem))
        else:
            read.candidates.append(Candidate(clean(str(text)), _field(fields, "family"), _field(fields, "part")))
    return read


def _problem(text: Any, shortest: int) -> str:
    """Why `text` cannot be an entry, or nothing."""
    if not isinstance(text, str):
        return f"is {_kind(text)}; expected words"
    plain = _ESCAPES.sub("", text).strip()
    if len(plain) > MAX_TEXT:
        return f"has {len(plain)} characters; expected at most {MAX_TEXT}"
    if any(unicodedata.category(sign) == "Cs" or sign == "\N{REPLACEMENT CHARACTER}" for sign in plain):
        return "holds half a character (a lone surrogate); expected plain words"
    if bad := next((sign for sign in plain if unicodedata.category(sign) == "Cc" and not sign.isspace()), ""):
        return f"holds the control character U+{ord(bad):04X}; expected plain words"
    cleaned = clean(plain)
    return "" if len(cleaned) >= shortest else f"has {len(cleaned)} letters; expected at least {shortest}"


def _field(fields: dict[str, Any], name: str) -> str | None:
    """The family or part of an entry; one that makes no sense costs only itself."""
    value = fields.get(name)
    if not isinstance(value, str) or _problem(value, 1):
        return None
    return clean(value)


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "words", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


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
