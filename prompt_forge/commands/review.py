"""`prompt-forge review`: look at every entry once."""

import sys
from typing import Annotated

import typer

from prompt_forge.commands.options import DescriptionsDir, RefArgument


def review(
    ref: RefArgument,
    label: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Point this label at the new version when all was looked at.")
    ] = None,
    descriptions_dir: DescriptionsDir = None,
) -> None:
    """Accept, reject, rewrite or lock each entry; the result is the next version. Answers may come from a pipe.

    Example: `prompt-forge review capsule --label reviewed`
    """
    from descriptions.refs import check_label
    from descriptions.store import Store
    from descriptions.terminal import INTERRUPTED
    from prompt_forge.console import print_line, say
    from prompt_forge.reviewing import Review
    from prompt_forge.revise import remind, save_beside, successor

    if label:
        check_label(label)
    store = Store.open(descriptions_dir)
    original = store.load(ref)
    outcome = Review(original, _ask, say).run()
    if outcome.description == original:
        say("nothing decided; no version saved")
    else:
        saved = save_beside(store, descriptions_dir, successor(original, outcome.description))
        print_line(f"saved {saved.ref} ({saved.status}, {outcome.seen} decided, {len(saved.enabled_texts)} enabled)")
        if label and outcome.complete:
            target = Store.open(descriptions_dir, writable=True).set_label(saved.ref, label)
            print_line(f"{target} is now {saved.category}@{label}")
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
