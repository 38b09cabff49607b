"""`prompt-forge show`: one version, with what is known about each entry."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prompt_forge.cli.options import AsJson, DescriptionsDir, RefArgument

if TYPE_CHECKING:
    from descriptions.format.schema import Anomaly, DescriptionFile
    from prompt_forge.library.scores import Contribution

BUNDLED = "mini"
"""The vision model of the package; it was taught few words."""


def show(
    ref: RefArgument,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run folder of `detector eval`, to show what each entry is worth."),
    ] = None,
    descriptions_dir: DescriptionsDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one version.

    Example: `prompt-forge show capsule@reviewed`
    """
    from descriptions.store import Store
    from prompt_forge.console import print_json, print_line, print_table, say
    from prompt_forge.generation.merge import told_support
    from prompt_forge.library.scores import read_contributions

    description = Store.open(descriptions_dir).load(ref)
    worth = read_contributions(scores, description).by_id if scores else {}
    unread = _unread(description)
    if as_json:
        extra: dict[str, object] = {"scores": [one.model_dump() for one in worth.values()]} if scores else {}
        extra |= {"unread_words": {BUNDLED: unread}} if unread else {}
        print_json(description.model_dump(mode="json") | {"content_hash": description.content_hash} | extra)
        return
    for line in _head(description):
        print_line(line)
    voted = any(entry.support for entry in description.anomalies)
    columns = ["", "id", "text", "family", "source", *(["proposed by"] if voted else []), "note"]
    columns += [*([f"{BUNDLED} cannot read"] if unread else [])]
    columns += [*(["verdict", "image AUROC", "pixel AP"] if scores else [])]
    rows = [
        [
            *_row(entry),
            *([told_support(description, entry)] if voted else []),
            entry.note,
            *([", ".join(unread.get(entry.id, ()))] if unread else []),
            *(_worth(worth.get(entry.id)) if scores else []),
        ]
        for entry in description.anomalies
    ]
    print_table(columns, rows)
    if unread:
        say(f"{BUNDLED}, the bundled vision model, reads words that it was not taught as blanks; CLIP knows them")


def _head(description: "DescriptionFile") -> list[str]:
    origin = description.provenance
    made = f" by {origin.model} ({origin.endpoint}, template {origin.template})" if origin else ""
    parent = f", from version {description.parent}" if description.parent else ""
    return [
        f"{description.ref}  {description.object_name}  {description.status}{parent}",
        f"created {description.created:%Y-%m-%d %H:%M} UTC{made}",
        f"normal: {' | '.join(description.normal)}",
        f"abnormal: {' | '.join(description.abnormal)}",
    ]


def _row(entry: "Anomaly") -> list[object]:
    mark = ("on" if entry.enabled else "off") + (" locked" if entry.locked else "")
    return [mark, entry.id, entry.text, entry.family, entry.source]


def _unread(description: "DescriptionFile") -> dict[str, list[str]]:
    """Words of each enabled entry that the bundled vision model reads as blanks, by id; none for the others."""
    from descriptions.common.errors import DescriptionError
    from descriptions.common.tokens import preset_weights, readable_tokens, unread_words

    try:
        readable = readable_tokens(weights) if (weights := preset_weights(BUNDLED)) else None
    except DescriptionError:  # a damaged installation, which `detector doctor` names
        return {}
    unread = {entry.id: unread_words(entry.text, readable) for entry in description.anomalies if entry.enabled}
    return {name: words for name, words in unread.items() if words}


def _worth(contribution: "Contribution | None") -> list[str]:
    if contribution is None:
        return ["", "", ""]
    image = _delta(contribution.image_auroc_delta, contribution.interval)
    return [contribution.verdict, image, _delta(contribution.pixel_ap_delta, contribution.pixel_ap_interval)]


def _delta(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    return f"{value:+.4f}" + (f" [{interval[0]:+.4f}, {interval[1]:+.4f}]" if interval else "")
