"""A version is edited as a copy in the person's own editor; nothing they typed is ever lost."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from descriptions.errors import ForgeError, InvalidFileError, SettingsError
from descriptions.schema import DescriptionFile
from descriptions.yaml_io import dump_description, parse_description, read_bytes
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
    if copy.path.read_text(encoding="utf-8") != dump_description(copy.original):
        return edited
    discard(copy)
    return None


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
