"""A version is edited as a copy in the person's own editor; nothing they typed is ever lost."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from descriptions.common.errors import ForgeError, InvalidFileError, SettingsError
from descriptions.common.files import read_text
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.format.yaml_io import dump_description, dump_mapping, parse_description, parse_yaml, read_bytes
from descriptions.format.yaml_problems import cut_in
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
    keep = f"fix it, or copy it away: {copy.path}"
    try:
        edited = parse_description(read_bytes(copy.path), copy.path.name)
    except InvalidFileError as error:
        raise EditError(str(error), hint=keep) from error
    if edited.category != copy.original.category:
        raise EditError(f"category {edited.category!r}", expected=copy.original.category, hint=keep)
    if read_text(copy.path) != dump_description(copy.original):
        return edited
    discard(copy.path)
    return None


EDITABLE = ("text", "family", "part", "note")
"""Fields of an entry that an editor shows; the others are decided by keys."""


class EntryEditor:
    """Opens single entries in the person's editor. One that cannot be read back is opened again as it was left."""

    def __init__(self) -> None:
        self._copies: dict[str, Path] = {}

    def __call__(self, entry: Anomaly) -> Anomaly | None:
        """The entry as the person left it; None when nothing was changed.

        Raises:
            SettingsError: the editor is not there, or says that it failed.
            EditError: what was saved is no entry; the copy stays where the message says.
        """
        path = self._copies.get(entry.id) or self._copies.setdefault(entry.id, _entry_copy(entry))
        open_editor(path)
        try:
            edited = _read_entry(path, entry)
        except InvalidFileError as error:
            raise EditError(str(error), hint=f"open it again, or copy it away: {path}") from error
        discard(self._copies.pop(entry.id))
        return None if edited == entry else edited


def _entry_copy(entry: Anomaly) -> Path:
    path = Path(tempfile.mkdtemp(prefix="prompt-forge-")) / f"{entry.id}.yaml"
    path.write_text(dump_mapping({name: getattr(entry, name) or "" for name in EDITABLE}), encoding="utf-8")
    return path


def _read_entry(path: Path, entry: Anomaly) -> Anomaly:
    typed = parse_yaml(read_bytes(path), path.name)
    if unknown := sorted(set(typed) - set(EDITABLE)):
        raise InvalidFileError(f"{path.name}: unknown key {unknown[0]}", expected=", ".join(EDITABLE))
    if cut := cut_in(typed):
        raise InvalidFileError(
            f"{path.name}: {cut.field}: YAML reads {cut.comment!r} as a comment", hint="put the text in quotes"
        )
    values = {name: typed.get(name) or Anomaly.model_fields[name].get_default() for name in EDITABLE[1:]}
    try:
        return Anomaly.model_validate(entry.model_dump() | values | {"text": typed.get("text") or ""})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidFileError(f"{path.name}: {first['loc'][0]}: {message}") from None


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
    discard(copy.path)


@contextmanager
def kept_unless_saved(description: DescriptionFile, folder: Path | None, say: Callable[[str], None]) -> Iterator[None]:
    """Where the block, which saves what a person decided, fails, the decisions go into a file of their own.

    Args:
        description: what is to be saved.
        folder: the value of `--descriptions-dir`.
        say: shows one line; where no file can be written at all, it gets the decisions themselves.

    Raises:
        EditError: it was not saved; the message says how to go on.
    """
    try:
        yield
    except (ForgeError, OSError) as error:
        try:
            path = start(description).path
        except OSError:  # a full disk has no room for a copy either
            for line in dump_description(description).splitlines():
                say(line)
            raise EditError(str(error), hint="your decisions are above; copy them away") from error
        here = f" --descriptions-dir {shlex.quote(str(folder))}" if folder else ""
        again = f"EDITOR={shlex.quote(f'cp {shlex.quote(str(path))}')} prompt-forge edit {description.category}{here}"
        raise EditError(str(error), hint=f"your decisions are in {path}; to save them, type {again}") from error


def discard(path: Path) -> None:
    """Remove a copy."""
    path.unlink(missing_ok=True)
    if not any(path.parent.iterdir()):  # editors may leave backups there, which are the person's
        path.parent.rmdir()
