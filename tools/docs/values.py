"""What may stand as a value, in words a person types by."""

import types
import typing
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr

_WORDS = {
    str: "text", SecretStr: "text", Path: "path", int: "whole number", float: "number", bool: "true or false",
    datetime: "date and time", type(None): "",
}  # fmt: skip


def words(hint: Any) -> str:
    """A type annotation in words; choices stand as code.

    Raises:
        KeyError: a kind that has no word here yet.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " ".join(f"`{choice}`" for choice in inner)
    if origin is Annotated:
        return words(inner[0])
    if origin in (types.UnionType, typing.Union):
        return " or ".join(filter(None, map(words, inner)))
    if origin is list or (origin is tuple and inner[-1] is Ellipsis):
        return f"list of {words(inner[0])}"
    if origin is tuple:
        return ", ".join(map(words, inner))
    if origin is dict:
        return "table"
    if issubclass(hint, Enum):
        return " ".join(f"`{choice.value}`" for choice in hint)
    return hint.__name__ if issubclass(hint, BaseModel) else _WORDS[hint]
