"""What is wrong with a YAML file, in words for the person who wrote it: line, field, and what to do."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

from pydantic import BaseModel
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scalarstring import ScalarString

from descriptions.common.errors import nearest
from descriptions.format.schema import Anomaly, DescriptionFile

_TEXTS = ("object_name", "parts", "normal", "abnormal")
"""Fields of a file that hold texts."""
_ENTRY_TEXTS = ("text", "family", "part")
"""Fields of an anomaly that hold texts."""


class Problem(NamedTuple):
    """One thing wrong with a file."""

    line: int | None
    """1-based, where known."""
    field: str
    """Such as `anomalies[2].text`; empty for the file as a whole."""
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.field + ': ' if self.field else ''}{self.message}"


class Cut(NamedTuple):
    """A text that ends where YAML sees a comment: `text: dent #2` reads as `dent`."""

    entry: str
    """Id of the anomaly; empty for a field of the file."""
    field: str
    """Such as `text`, or `parts[1]`."""
    text: str
    """What YAML reads."""
    comment: str
    """What it leaves out."""


def yaml_problem(error: MarkedYAMLError, text: str) -> str:
    """What YAML objects to, and on which line.

    Args:
        error: as the parser raised it.
        text: what was parsed.
    """
    mark = error.problem_mark or error.context_mark
    if odd := _odd_break(text, mark.index if mark else len(text)):
        return odd
    where = f"line {mark.line + 1}: " if mark else ""
    what = str(error.problem or error.context or "not YAML").split("\n")[0]
    if "\\t" in what:
        return f"{where}a tab where YAML wants spaces; indent with spaces"
    if "duplicate key" in what:
        return f"{where}{what.split(' with')[0].removeprefix('found ')} stands twice; keep one"
    return f"{where}{what}"


def _odd_break(text: str, index: int) -> str:
    """What is wrong where the parser stopped at a line break that it counts and editors do not show."""
    start = text.rfind("\n", 0, max(text.rfind("\n", 0, index), 0)) + 1  # the line of `index` and the one before
    if not (odd := re.search("[\x85\u2028\u2029]", text[start:index])):
        return ""
    line = text.count("\n", 0, start + odd.start()) + 1
    return f"line {line}: the character U+{ord(odd[0]):04X} breaks the line here; replace it with a space"


def problem(document: CommentedMap, detail: Any) -> Problem:
    """One complaint of pydantic about a document, with its line.

    Args:
        document: as it was parsed.
        detail: one of `ValidationError.errors()`.
    """
    location = _second_use_of_an_id(document) if detail["type"] == "duplicate_id" else list(detail["loc"])
    field = ""
    for step in location:
        field += f"[{step}]" if isinstance(step, int) else f".{step}" if field else str(step)
    return Problem(_line(document, location), field, _message(document, location, detail))


def _message(document: CommentedMap, location: Sequence[Any], detail: Any) -> str:
    kind, value, message = detail["type"], detail["input"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(str(location[-1]), _keys(location)) or 'remove it'}"
    if kind == "missing":
        return "is missing"
    if location and (value is None or value == ""):
        return _left_empty(document, location)
    if isinstance(value, (str, int, float, bool, date)):
        message = f"{message[0].lower()}{message[1:]}, not {str(value) if isinstance(value, date) else repr(value):.80}"
        message += "; put it in quotes" if kind == "string_type" else ""
    return str(message)


def _left_empty(document: CommentedMap, location: Sequence[Any]) -> str:
    """What to do about a value that is not there."""
    node: Any = document
    for step in location[:-1]:
        node = node[step]
    if comment := _comment(node, location[-1]):
        return f"is left empty: YAML reads {comment!r} as a comment; put the text in quotes"
    needed = location[-1] in {name for kind in (Anomaly, DescriptionFile) for name in _required(kind)}
    entry = ", or remove the whole entry" if needed and len(location) > 1 else ""
    return "is left empty; write a value" + (entry if needed else ", or remove the line")


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _second_use_of_an_id(document: CommentedMap) -> list[Any]:
    """Where an id stands for the second time."""
    seen = set()
    for index, entry in enumerate(document["anomalies"]):
        if entry["id"] in seen:
            return ["anomalies", index, "id"]
        seen.add(entry["id"])
    return []


def cut_comments(description: DescriptionFile) -> list[Cut]:
    """Texts behind which a comment begins with no space after its `#`, which people mean as part of the text.

    Empty for a description that was not read from a file.
    """
    document = description._document
    if not isinstance(document, CommentedMap):
        return []
    cut = list(_cut(document, _TEXTS, ""))
    for entry in document.get("anomalies") or ():
        cut += _cut(entry, _ENTRY_TEXTS, str(entry.get("id")))
    return cut


def cut_in(mapping: CommentedMap) -> Cut | None:
    """The first text of a mapping that a comment may have cut."""
    return next(_cut(mapping, tuple(mapping), ""), None)


def _cut(mapping: CommentedMap, names: Sequence[str], entry: str) -> Iterator[Cut]:
    for name in names:
        value = mapping.get(name)
        texts: list[tuple[Any, str | int, str, Any]] = [(mapping, name, name, value)]
        if isinstance(value, CommentedSeq):
            texts = [(value, index, f"{name}[{index}]", item) for index, item in enumerate(value)]
        for node, key, field, text in texts:
            plain = isinstance(text, str) and not isinstance(text, ScalarString)  # quotes end where they end
            if plain and re.match(r"#\S", comment := _comment(node, key)):
                yield Cut(entry, field, str(text), comment)


def _comment(node: Any, key: Any) -> str:
    """The comment on the line of a value; empty when there is none."""
    comments = node.ca.items.get(key) if isinstance(node, CommentedMap | CommentedSeq) else None
    for token in comments or ():
        if token is not None and not isinstance(token, list) and token.value.startswith("#"):
            return str(token.value.split("\n")[0].strip())
    return ""


def _keys(location: Sequence[Any]) -> list[str]:
    """Keys that are allowed where an unknown one was found."""
    model: type[BaseModel] = DescriptionFile
    for step in location[:-1]:
        if isinstance(step, str):
            annotation = model.model_fields[step].annotation
            model = next((kind for kind in _models(annotation)), model)
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models(inner)]


def _line(node: Any, location: Sequence[Any]) -> int | None:
    """1-based line of the deepest part of `location` that exists in the document."""
    line: int | None = node.lc.line + 1 if isinstance(node, CommentedMap) else None
    for step in location:
        if isinstance(node, CommentedMap) and step in node:
            line = node.lc.key(step)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
            line = node.lc.item(step)[0] + 1
        else:
            break
        node = node[step]
    return line
