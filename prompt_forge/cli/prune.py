"""`prompt-forge prune`: switch off what an evaluation found harmful."""

from pathlib import Path
from typing import Annotated

import typer

from prompt_forge.cli.options import AsJson, DescriptionsDir, RefArgument


def prune(
    ref: RefArgument,
    run: Annotated[
        Path, typer.Option("--from", metavar="RUN", help="Run folder of `detector eval`, or its contributions.json.")
    ],
    hurts: Annotated[bool, typer.Option("--hurts/--keep-hurts", help="Entries that make the detector worse.")] = True,
    no_evidence: Annotated[bool, typer.Option("--no-evidence", help="Also entries that make no difference.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be switched off.")] = False,
    descriptions_dir: DescriptionsDir = None,
    as_json: AsJson = False,
) -> None:
    """Disable entries by what they contribute, as a new version; locked entries stay.

    Example: `prompt-forge prune capsule@2 --hurts --from runs/capsule`
    """
    from descriptions.store import Store
    from prompt_forge.console import print_json, print_line, say
    from prompt_forge.library.revise import remind, save_beside, successor
    from prompt_forge.library.scores import read_contributions

    store = Store.open(descriptions_dir)
    original = store.load(ref)
    worth = read_contributions(run, original).by_id
    bad = [verdict for verdict, asked in (("hurts", hurts), ("no evidence", no_evidence)) if asked]
    out = [e for e in original.anomalies if e.enabled and not e.locked and e.id in worth and worth[e.id].verdict in bad]
    saved, message = original, f"would disable {len(out)}" if out else "nothing to disable"
    if out and not dry_run:
        gone = {entry.id for entry in out}
        entries = tuple(e.model_copy(update={"enabled": False}) if e.id in gone else e for e in original.anomalies)
        saved = store.load(f"{original.category}@latest")
        message = f"unchanged {saved.ref}, which has them disabled already"
        if saved.anomalies != entries or saved.content_hash != original.revised(anomalies=entries).content_hash:
            saved = save_beside(store, descriptions_dir, successor(original, anomalies=entries))
            message = f"saved {saved.ref}"
        remind(descriptions_dir, saved, say)
    if as_json:
        print_json({"ref": saved.ref, "disabled": [{"id": entry.id, "text": entry.text} for entry in out]})
        return
    for entry in out:
        print_line(f"- {entry.id}: {entry.text} ({worth[entry.id].verdict})")
    print_line(message)
