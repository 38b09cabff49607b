"""`prompt-forge review`: look at every entry once."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from prompt_forge.cli.options import DescriptionsDir, RefArgument

if TYPE_CHECKING:
    from descriptions.format.schema import Anomaly
    from prompt_forge.library.editing import EntryEditor
    from prompt_forge.library.reviewing import Edit


def review(
    ref: RefArgument,
    label: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Point this label at the new version when all was looked at.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask about entries that were decided before as well.")] = False,
    descriptions_dir: DescriptionsDir = None,
) -> None:
    """Accept, reject, rewrite or lock each entry; the result is the next version. Answers may come from a pipe.

    A review that was stopped goes on with the entries that are not decided.

    Example: `prompt-forge review capsule --label reviewed`
    """
    from descriptions.common.refs import check_label
    from descriptions.common.terminal import INTERRUPTED
    from descriptions.store import Store
    from prompt_forge.console import print_line, say
    from prompt_forge.library.editing import EntryEditor, kept_unless_saved
    from prompt_forge.library.reviewing import Review
    from prompt_forge.library.revise import remind, save_beside, successor

    if label:
        check_label(label)
    store = Store.open(descriptions_dir)
    original = store.load(ref)
    target = Store.open(descriptions_dir, writable=True)  # refused before the work, not after it
    outcome = Review(original, _ask, say, _in_editor(EntryEditor()), again).run()
    for problem in outcome.refused:
        say(f"lint refuses {problem}")
    if outcome.description == original:
        say("nothing decided; no version saved")
    else:
        changed = successor(original, outcome.description)
        with kept_unless_saved(changed, descriptions_dir, say):
            saved = save_beside(store, descriptions_dir, changed)
        print_line(f"saved {saved.ref} ({saved.status}, {outcome.seen} decided, {len(saved.enabled_texts)} enabled)")
        if not outcome.complete:
            say(f"not every entry was decided; go on with: prompt-forge review {saved.ref}")
        elif outcome.refused:
            how = f"prompt-forge review {saved.ref}, or prompt-forge edit {saved.ref}"
            say(f"{saved.ref} is no reviewed version yet; go on with: {how}")
        elif label:
            print_line(f"{target.set_label(saved.ref, label)} is now {saved.category}@{label}")
        remind(descriptions_dir, saved, say)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    if outcome.complete and outcome.refused:
        raise typer.Exit(1)


def _ask(question: str) -> str:
    typer.echo(question, nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        raise EOFError
    return answer.rstrip("\n")


def _in_editor(edit: "EntryEditor") -> "Edit":
    """Opens entries in an editor; what goes wrong there is said, and the question asked again."""

    def opened(entry: "Anomaly") -> "Anomaly | None":
        from descriptions.common.errors import ForgeError
        from prompt_forge.console import say

        try:
            return edit(entry)
        except ForgeError as error:
            say(f"error: {error}")
            return None

    return opened
