"""A version is edited as a copy in the person's own editor; nothing they typed is ever lost."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from descriptions.errors import ForgeError, InvalidFileError, SettingsError
from descriptions.schema import Anomaly, DescriptionFile
from descriptions.yaml_io import dump_description, dump_mapping, parse_description, parse_yaml, read_bytes
from prompt_forge.errors import PromptForgeError


class EditError(PromptForgeError):
    """What was edited is no valid description, or cannot be saved; the message says where the copy is."""


class Copy(NamedTuple):
    """A version on its way through an editor."""

    path: Path
    original: DescriptionFile


def start(description: DescriptionFile) -> Copy:
    """Put a copy where an editor can change it."""
    folder = Path(tempfile.mkdtemp(prefix="prompt-forge-"))
    path = folder / f"{description.category}-from-v{description.version}.yaml"
    path.write_text(dump_description(description), encoding="utf-8")
    return Copy(path, description)


def open_editor(path: Path) -> None:
    """Run `$VISUAL`, else `$EDITOR`, else vi, and wait for it.

    Raises:
        SettingsError: the editor is not there, or says that it failed.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        status = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot start the editor {editor!r}", hint="set EDITOR, such as EDITOR=nano") from error
    if status:
        raise SettingsError(f"the editor {editor!r} ended with {status}", hint=f"nothing saved; the copy is {path}")


def finish(copy: Copy) -> DescriptionFile | None:
    """Read the copy back; None when nothing was changed, and only then is the copy removed: see `until_saved`.

    Raises:
        EditError: it is invalid, or belongs to another category now; the copy stays where the message says.
    """
    keep = f"mend it, or copy it away: {copy.path}"
    try:
        edited = parse_description(read_bytes(copy.path), copy.path.name)
    except InvalidFileError as error:
        raise EditError(str(error), hint=keep) from error
    if edited.category != copy.original.category:
        raise EditError(f"category {edited.category!r}", expected=copy.original.category, hint=keep)
    if copy.path.read_text(encoding="utf-8-sig") != dump_description(copy.original):
        return edited
    discard(copy)
    return None


EDITABLE = ("text", "family", "part", "note")
"""Fields of an entry that an editor shows; the others are decided by keys."""


def edit_entry(entry: Anomaly) -> Anomaly | None:
    """Open one entry in an editor; None when nothing was changed.

    Raises:
        SettingsError: the editor is not there, or says that it failed.
        InvalidFileError: what was saved is no entry; the message names line and field.
    """
    with tempfile.TemporaryDirectory(prefix="prompt-forge-") as folder:
        path = Path(folder) / f"{entry.id}.yaml"
        before = dump_mapping({name: getattr(entry, name) or "" for name in EDITABLE})
        path.write_text(before, encoding="utf-8")
        open_editor(path)
        if path.read_text(encoding="utf-8-sig") == before:
            return None
        typed = parse_yaml(read_bytes(path), path.name)
    if unknown := sorted(set(typed) - set(EDITABLE)):
        raise InvalidFileError(f"{path.name}: unknown key {unknown[0]}", expected=", ".join(EDITABLE))
    values = {name: typed.get(name) or (None if name in ("family", "part") else "") for name in EDITABLE}
    try:
        return Anomaly.model_validate(entry.model_dump() | values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        raise InvalidFileError(f"{path.name}: {first['loc'][0]}: {said}") from None


@contextmanager
def until_saved(copy: Copy) -> Iterator[None]:
    """Remove the copy once the block, which saves what was made of it, ends well.

    Raises:
        EditError: it was not saved; the copy stays where the message says.
    """
    try:
        yield
    except (ForgeError, OSError) as error:
        raise EditError(str(error), hint=f"what you typed is in {copy.path}") from error
    discard(copy)


def discard(copy: Copy) -> None:
    """Remove the copy."""
    copy.path.unlink(missing_ok=True)
    if not any(copy.path.parent.iterdir()):  # editors may leave backups there, which are the person's
        copy.path.parent.rmdir()
