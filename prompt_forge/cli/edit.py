"""`prompt-forge edit`: change a version in an editor; the result is the next version."""

import sys
from typing import TYPE_CHECKING

import typer

from prompt_forge.cli.options import DescriptionsDir, RefArgument

if TYPE_CHECKING:
    from descriptions.format.schema import DescriptionFile
    from prompt_forge.library.editing import Copy


def edit(ref: RefArgument, descriptions_dir: DescriptionsDir = None) -> None:
    """Open a copy in $EDITOR and save it as the next version.

    Example: `EDITOR=nano prompt-forge edit capsule`
    """
    from descriptions.store import Store
    from prompt_forge.console import print_line, say
    from prompt_forge.library.editing import start, until_saved
    from prompt_forge.library.revise import by_a_person, remind, save_beside, successor

    store = Store.open(descriptions_dir)
    original = store.load(ref)
    Store.open(descriptions_dir, writable=True)  # refused before the work, not after it
    copy = start(original)
    edited = _edited(copy)
    if edited is None:
        say("nothing changed; no version saved")
        return
    entries = by_a_person(original, edited.anomalies)
    with until_saved(copy):
        saved = save_beside(store, descriptions_dir, successor(original, edited, anomalies=entries))
    print_line(f"saved {saved.ref}; see prompt-forge diff {original.ref} {saved.ref}")
    remind(descriptions_dir, saved, say)


def _edited(copy: "Copy") -> "DescriptionFile | None":
    """What the person made of the copy; at a terminal, a mistake can be fixed at once."""
    from prompt_forge.console import say
    from prompt_forge.library.editing import EditError, finish, open_editor

    while True:
        open_editor(copy.path)
        try:
            return finish(copy)
        except EditError as error:
            if not _at_a_terminal():
                raise
            say(f"error: {error}")
            if not typer.confirm("open it again?", default=True, err=True):
                raise


def _at_a_terminal() -> bool:
    return sys.stdin.isatty()
