"""`prompt-forge review`: look at every entry once."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from prompt_forge.commands.options import DescriptionsDir, RefArgument

if TYPE_CHECKING:
    from descriptions.schema import Anomaly


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
    from descriptions.refs import check_label
    from descriptions.store import Store
    from descriptions.terminal import INTERRUPTED
    from prompt_forge.console import print_line, say
    from prompt_forge.editing import start, until_saved
    from prompt_forge.reviewing import Review
    from prompt_forge.revise import remind, save_beside, successor

    if label:
        check_label(label)
    store = Store.open(descriptions_dir)
    original = store.load(ref)
    outcome = Review(original, _ask, say, _open_in_editor, again).run()
    if outcome.description == original:
        say("nothing decided; no version saved")
    else:
        changed = successor(original, outcome.description)
        with until_saved(start(changed)):  # a disk that is full must not cost an hour of decisions
            saved = save_beside(store, descriptions_dir, changed)
        print_line(f"saved {saved.ref} ({saved.status}, {outcome.seen} decided, {len(saved.enabled_texts)} enabled)")
        done = outcome.complete and not outcome.refused
        for problem in outcome.refused:
            say(f"error: {problem}")
        if label and done:
            target = Store.open(descriptions_dir, writable=True).set_label(saved.ref, label)
            print_line(f"{target} is now {saved.category}@{label}")
        elif outcome.refused:
            say(f"{saved.ref} stays a {saved.status}: lint refuses it; fix it with: prompt-forge edit {saved.ref}")
        elif not outcome.complete:
            say(f"not every entry was decided; go on with: prompt-forge review {saved.ref}")
        remind(descriptions_dir, saved, say)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)


def _ask(question: str) -> str:
    typer.echo(question, nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        raise EOFError
    return answer.rstrip("\n")


def _open_in_editor(entry: "Anomaly") -> "Anomaly | None":
    from descriptions.errors import ForgeError
    from prompt_forge.console import say
    from prompt_forge.editing import edit_entry

    try:
        return edit_entry(entry)
    except ForgeError as error:
        say(f"error: {error}")
        return None
