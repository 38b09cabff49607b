"""Reference tables of the frozen pydantic models: one row a field, from the docstring under it."""

import ast
import inspect
import json
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from tools.docs.tables import cell, table
from tools.docs.values import words


def section(model: type[BaseModel], title: str, *, level: int = 2) -> str:
    """Title, docstring and fields of a model, as Markdown.

    Raises:
        ValueError: a field without a docstring.
    """
    own = [each for each in reversed(model.__mro__) if issubclass(each, BaseModel) and each is not BaseModel]
    notes = {name: text for each in own for name, text in _docstrings(each).items()}
    if missing := model.model_fields.keys() - notes.keys():
        raise ValueError(f"{model.__name__}: no docstring under {sorted(missing)}")
    rows = [
        [f"`{name}`", words(field.annotation), cell(notes[name]), _default(field)]
        for name, field in model.model_fields.items()
    ]
    head = f"{'#' * level} {title}\n\n{inspect.cleandoc(model.__doc__ or '')}"
    return f"{head}\n\n" + table(["field", "value", "", "default"], rows)


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring under each field of a class itself, read from its source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    notes = {}
    for line, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(line, ast.AnnAssign)
            and isinstance(line.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            notes[line.target.id] = str(after.value.value)
    return notes


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default in (PydanticUndefined, None) or isinstance(field.default, BaseModel):
        return ""  # nothing, or made anew each time: the current moment, a folder of this user
    return f"`{json.dumps(field.default, ensure_ascii=False)}`"
