"""JSON as language models write it: fenced, inside chatter, with raw line breaks, trailing commas or comments."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

_FENCE = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_STRING = r'"(?:[^"\\]|\\.)*"'
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(?=\s*[\]}}])", re.DOTALL)
_COMMENT = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_START = re.compile(r"[{\[]")
_BEGINS = re.compile(r"""\{\s*"|\[\s*[{"]""")
"""How an answer begins, unlike a bracket in chatter."""
_DECODER = json.JSONDecoder(strict=False)
"""Takes raw line breaks and tabs inside strings."""

_MOST_STARTS = 200
"""Opening brackets that are tried; chatter full of them is no answer."""


def documents(text: str) -> list[Any]:
    """Every JSON object and list that stands at the top level of `text`, in order.

    Raises:
        ValueError: there is none; the message says why the best try failed.
    """
    try:
        return [_read(text)]
    except ValueError as error:
        reason = error
    try:
        fenced = [value for block in _FENCE.findall(text) for value in _standing_in(block)]
        if values := fenced or list(_standing_in(text)):
            return values
    except ValueError as error:
        reason = error
    raise ValueError(_reason(text, reason))


def holds_json(text: str) -> bool:
    """Whether `documents` would find anything."""
    try:
        return bool(documents(text))
    except ValueError:
        return False


def _reason(text: str, error: ValueError) -> str:
    begins = " ".join(text[:80].split())
    if not begins:
        return "the answer is not JSON: it is empty"
    if not _START.search(text):
        return f"the answer is not JSON: it begins with {begins!r}"
    return f"the answer is not JSON: {error}"


def _standing_in(text: str) -> Iterator[Any]:
    """Objects and lists in `text`, left to right; what stands inside one of them is not listed again.

    Raises:
        ValueError: one begins like JSON and cannot be read; its readable pieces are not the answer.
    """
    at = tried = 0
    while tried < _MOST_STARTS and (start := _START.search(text, at)):
        tried += 1
        value, at = _from(text, start.start())
        if value is not None:
            yield value


def _from(text: str, begin: int) -> tuple[Any, int]:
    """The value at `begin` and where it ends, or None and where to look next."""
    try:
        return _DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError) as error:
        reason = _told(error)
    end = _closing(text, begin)
    value = _maybe(text[begin:end]) if end else None
    if value is None and _BEGINS.match(text, begin):
        raise ValueError(reason)
    return (None, begin + 1) if value is None else (value, end)


def _maybe(text: str) -> Any:
    try:
        return _read(text)
    except ValueError:
        return None


def _closing(text: str, start: int) -> int:
    """Where the bracket at `start` is closed, strings left out; 0 when it never is."""
    depth, at = 0, start
    for match in re.compile(rf"{_STRING}|[\[{{\]}}]", re.DOTALL).finditer(text, at):
        sign = match[0]
        if len(sign) == 1:
            depth += 1 if sign in "[{" else -1
            if depth == 0:
                return match.end()
    return 0


def _read(text: str) -> Any:
    """One object or list, forgiving what a person would forgive.

    Raises:
        ValueError: it is none.
    """
    try:
        value = _DECODER.decode(text.strip().lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        value = _forgiven(text, error)
    if isinstance(value, dict | list):
        return value
    raise ValueError(f"it is {repr(value)[:80]}; expected an object")


def _forgiven(text: str, error: Exception) -> Any:
    """The value without its comments and trailing commas, or as Python writes it."""
    plain = _TRAILING_COMMA.sub(lambda match: match[1] or "", _COMMENT.sub(lambda match: match[1] or "", text))
    try:
        return _DECODER.decode(plain.strip())
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(plain.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError(_told(error)) from None


def _told(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
