"""YAML in and out: strict about what comes in, faithful to what people wrote.

Reading refuses everything a description file never needs (anchors, tags, deep nesting, huge files) before anything is
built from it. Writing changes only what differs, so comments, key order and quoting of a hand-edited file survive.
"""

import io
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
)

from descriptions.errors import InvalidFileError, nearest
from descriptions.schema import DescriptionFile
from descriptions.yaml_merge import merge_map, plain

MAX_BYTES = 256 * 1024
"""A file of 500 long entries is a quarter of this."""
MAX_DEPTH = 6
"""The format itself nests four deep."""
_SEPARATING_TAB = re.compile(r"(?<=[^\s])[ \t]*\t[ \t]*(?=$|#)|(?<=[:-])[ \t]*\t[ \t]*(?=\S)|^[ \t]+$", re.MULTILINE)
"""Tabs behind a value, before a comment, after a key or dash, and on blank lines; never those that indent."""
_UNFOLDED = 10**9
"""Columns of a line: folding a long text loses and adds spaces around double ones, tabs and backslashes."""


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


def read_bytes(path: Path) -> bytes:
    """The file's content, refused unread when it is too large.

    Raises:
        InvalidFileError: no regular file, larger than `MAX_BYTES`, or unreadable.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InvalidFileError(f"{path}: cannot be read (not a regular file)")
        if (size := status.st_size) > MAX_BYTES:
            raise InvalidFileError(f"{path}: {size:,} bytes", expected=f"at most {MAX_BYTES:,} bytes of YAML")
        return path.read_bytes()
    except OSError as error:
        raise InvalidFileError(f"{path}: cannot be read ({error.strerror})") from error


def parse_yaml(data: bytes, name: str) -> CommentedMap:
    """Text of a file as a mapping that remembers lines and comments.

    Args:
        data: the bytes of the file.
        name: what error messages call it.

    Raises:
        InvalidFileError: not UTF-8, not YAML, not a mapping, or YAML of a kind no description file needs.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")  # comments would keep the \r, and the dump mix both
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidFileError(
            f"{name}: line {line}: byte 0x{data[error.start]:02x} is not UTF-8", hint="save the file as UTF-8"
        ) from error
    try:
        content = _loaded(text, name)
    except MarkedYAMLError as error:
        raise InvalidFileError(f"{name}: {_yaml_problem(error)}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise InvalidFileError(f"{name}: {str(error).split(';')[0]}", expected="plain YAML") from error
    if not isinstance(content, CommentedMap):
        raise InvalidFileError(
            f"{name}: holds {_kind(content)}", expected="a mapping that starts with schema_version: 1"
        )
    return content


def _loaded(text: str, name: str) -> Any:
    """The document; tabs that YAML allows between and behind values, and the library does not, become spaces."""
    try:
        _refuse_dangerous(YAML().parse(text), name)
    except MarkedYAMLError as error:
        spaced = _SEPARATING_TAB.sub(lambda tabs: " " * len(tabs[0]), text)
        if "\\t" not in str(error.problem) or spaced == text:
            raise
        text = spaced
        _refuse_dangerous(YAML().parse(text), name)
    return _round_trip().load(text)


def parse_description(data: bytes, name: str) -> DescriptionFile:
    """A description file from its bytes; it remembers the YAML for `dump_description`.

    Raises:
        InvalidFileError: with file, line and field of every problem.
    """
    document = parse_yaml(data, name)
    try:
        description = DescriptionFile.model_validate(document)
    except ValidationError as error:
        problems = [_problem(document, detail) for detail in error.errors()]
        raise InvalidFileError(f"{name}: " + "; ".join(map(str, problems[:10]))) from None
    description._document = document
    return description


def dump_description(description: DescriptionFile) -> str:
    """The YAML text of a description; parsing it gives the description back.

    A description that was read from a file keeps that file's comments, key order and quoting.

    Raises:
        InvalidFileError: it would read back as something else, or not at all.
    """
    yaml = _round_trip()
    document = description._document
    # A parse of the dump is a deep copy that keeps every comment; the original stays as it was read.
    document = yaml.load(_text(document, yaml)) if document is not None else CommentedMap()
    merge_map(document, plain(description))
    text = _text(document, yaml)
    _refuse_unfaithful(description, text)
    return text


def _refuse_unfaithful(description: DescriptionFile, text: str) -> None:
    """What nobody could read back as it was is never written."""
    data = text.encode()
    if len(data) > MAX_BYTES:
        raise InvalidFileError(
            f"{description.ref}: {len(data):,} bytes", expected=f"at most {MAX_BYTES:,} bytes of YAML"
        )
    again = parse_description(data, description.ref)
    if again != description:
        field = next(name for name in type(again).model_fields if getattr(again, name) != getattr(description, name))
        raise InvalidFileError(
            f"{description.ref}: {field} would read back as something else", hint="leave out unusual line breaks"
        )


def dump_mapping(content: Mapping[str, Any]) -> str:
    """A mapping as YAML text; one that `parse_yaml` read keeps its comments."""
    return _text(content, _round_trip())


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _UNFOLDED
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _text(document: Any, yaml: YAML) -> str:
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _refuse_dangerous(events: Any, name: str) -> None:
    depth, documents = 0, 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        documents += isinstance(event, DocumentStartEvent)
        if reason := _danger(event, depth, documents):
            raise InvalidFileError(
                f"{name}: line {event.start_mark.line + 1}: {reason}", expected="plain keys, texts, numbers and lists"
            )


def _danger(event: Event, depth: int, documents: int) -> str:
    if isinstance(event, AliasEvent):
        return f"alias *{event.anchor}"
    if isinstance(event, NodeEvent) and event.anchor:
        return f"anchor &{event.anchor}"
    if tag := getattr(event, "tag", None):
        return f"tag {tag}"
    if isinstance(event, ScalarEvent) and event.value == "<<" and event.style is None:
        return "the merge key <<"
    if depth > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels"
    return "a second document" if documents > 1 else ""


def _yaml_problem(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}: " if mark else ""
    what = str(error.problem or error.context or "not YAML").split("\n")[0]
    if "\\t" in what:
        return f"{where}a tab where YAML wants spaces; indent with spaces"
    if "duplicate key" in what:
        return f"{where}{what.split(' with')[0].removeprefix('found ')} stands twice; keep one"
    return f"{where}{what}"


def _problem(document: CommentedMap, detail: Any) -> Problem:
    location, message = list(detail["loc"]), detail["msg"].removeprefix("Value error, ")
    if not location and "stands on more than one anomaly" in message:
        location = _second_use_of_an_id(document)
    field = ""
    for step in location:
        field += f"[{step}]" if isinstance(step, int) else f".{step}" if field else str(step)
    if detail["type"] == "extra_forbidden":
        message = f"unknown key; {nearest(str(location[-1]), _keys(location)) or 'remove it'}"
    elif detail["type"] == "missing":
        message = "is missing"
    elif detail["input"] is None and location:
        message = f"is left empty; write a value, or remove the line{' and its entry' * (location[-1] == 'text')}"
    elif isinstance(detail["input"], (str, int, float, bool, date)):
        came = detail["input"]
        message = f"{message[0].lower()}{message[1:]}, not {str(came) if isinstance(came, date) else repr(came):.80}"
        message += "; put it in quotes" if detail["type"] == "string_type" else ""
    return Problem(_line(document, location), field, message)


def _second_use_of_an_id(document: CommentedMap) -> list[Any]:
    """Where an id stands for the second time."""
    seen = set()
    for index, entry in enumerate(document.get("anomalies") or ()):
        name = entry.get("id") if isinstance(entry, Mapping) else None
        if name in seen:
            return ["anomalies", index, "id"]
        seen.add(name)
    return []


def cut_comments(description: DescriptionFile) -> dict[str, str]:
    """Comments that begin without a space right behind a text, by the id of the entry: `text: dent #2` reads as `dent`.

    Empty for a description that was not read from a file.
    """
    cut: dict[str, str] = {}
    document = description._document
    for entry in document.get("anomalies", ()) if document is not None else ():
        token = (entry.ca.items.get("text") or [None] * 3)[2] if isinstance(entry, CommentedMap) else None
        comment = token.value.split("\n")[0] if token is not None else ""
        if re.match(r"#\w", comment):
            cut[str(entry.get("id"))] = comment.strip()
    return cut


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


def _kind(content: Any) -> str:
    return "nothing" if content is None else "a list" if isinstance(content, list) else f"the text {str(content)!r:.40}"
