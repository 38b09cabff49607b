"""YAML in and out: strict about what comes in, faithful to what people wrote.

Reading refuses everything a description file never needs (anchors, tags, deep nesting, huge files) before anything is
built from it. Writing changes only what differs, so comments, key order and quoting of a hand-edited file survive.
"""

import io
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
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

from descriptions.common.errors import InvalidFileError
from descriptions.common.files import decode
from descriptions.format.schema import DescriptionFile
from descriptions.format.yaml_merge import merge_map, plain
from descriptions.format.yaml_problems import problem, yaml_problem
from descriptions.format.yaml_scanner import TabScanner

MAX_BYTES = 256 * 1024
"""A file of 500 long entries is a quarter of this."""
MAX_DEPTH = 6
"""The format itself nests four deep."""
_UNFOLDED = 10**9
"""Columns of a line: folding a long text loses and adds spaces around double ones, tabs and backslashes."""


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
        text = decode(data)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidFileError(
            f"{name}: line {line}: byte 0x{data[error.start]:02x} is not UTF-8", hint="save the file as UTF-8"
        ) from error
    try:
        _refuse_dangerous(_round_trip().parse(text), name)
        content = _round_trip().load(text)
    except MarkedYAMLError as error:
        raise InvalidFileError(f"{name}: {yaml_problem(error, text)}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise InvalidFileError(f"{name}: {str(error).split(';')[0]}", expected="plain YAML") from error
    if not isinstance(content, CommentedMap):
        raise InvalidFileError(
            f"{name}: holds {_kind(content)}", expected="a mapping that starts with schema_version: 1"
        )
    return content


def parse_description(data: bytes, name: str) -> DescriptionFile:
    """A description file from its bytes; it remembers the YAML for `dump_description`.

    Raises:
        InvalidFileError: with file, line and field of every problem.
    """
    document = parse_yaml(data, name)
    try:
        description = DescriptionFile.model_validate(document)
    except ValidationError as error:
        problems = [problem(document, detail) for detail in error.errors()]
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
    yaml.Scanner = TabScanner
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


def _kind(content: Any) -> str:
    return "nothing" if content is None else "a list" if isinstance(content, list) else f"the text {str(content)!r:.40}"
