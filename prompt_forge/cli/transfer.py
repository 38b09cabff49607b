"""Commands that carry descriptions in and out: import-filo and export."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prompt_forge.cli.options import AsJson, DescriptionsDir, RefArgument

if TYPE_CHECKING:
    from descriptions.format.schema import DescriptionFile


class Format(StrEnum):
    """How `export` writes."""

    TXT = "txt"
    JSON = "json"
    CSV = "csv"


def import_filo(
    path: Annotated[Path, typer.Argument(help="FiLo checkout, or one of its Python files.", metavar="PATH")],
    name: Annotated[
        str | None,
        typer.Option("--dict", metavar="NAME", help="Which dictionary, by name or file:line; default: the largest."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be saved.")] = False,
    descriptions_dir: DescriptionsDir = None,
    as_json: AsJson = False,
) -> None:
    """Save the descriptions of a released FiLo checkout as drafts. Its code is read, never run.

    Example: `prompt-forge import-filo ~/FiLo --dry-run`
    """
    from descriptions.store import Store
    from prompt_forge.console import print_json, print_table, say
    from prompt_forge.library.filo_import import choose, find, to_descriptions

    dictionaries = find(path)
    dictionary = choose(dictionaries, name)
    say(f"reading {dictionary.name} at {dictionary.place}")
    for other in dictionaries:
        if other is not dictionary:
            say(f"also there: {other.name} at {other.place}, {other.size} phrases")
    descriptions = to_descriptions(dictionary)
    if not dry_run:
        store = Store.open(descriptions_dir, writable=True)
        descriptions = [store.save(description) for description in descriptions]
    rows = [[one.category if dry_run else one.ref, len(one.anomalies)] for one in descriptions]
    if as_json:
        print_json([{"ref": ref, "anomalies": count} for ref, count in rows])
    else:
        print_table(["would save" if dry_run else "saved", "anomalies"], rows)


def export(
    ref: RefArgument,
    format_: Annotated[
        Format, typer.Option("--format", help="One text a line, a JSON list, or a CSV table.")
    ] = Format.TXT,
    every: Annotated[bool, typer.Option("--all", help="Disabled entries as well.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there instead of stdout.")] = None,
    descriptions_dir: DescriptionsDir = None,
) -> None:
    """Write the texts as a plain list, for other programs.

    Example: `prompt-forge export capsule --format csv --out capsule.csv`
    """
    from descriptions.common.errors import SettingsError
    from descriptions.common.files import atomic_write
    from descriptions.store import Store
    from prompt_forge.console import say

    text = _render(Store.open(descriptions_dir).load(ref), format_, every=every)
    if out is None:
        typer.echo(text, nl=False)
    else:
        try:
            atomic_write(out, text)
        except OSError as error:
            raise SettingsError(f"cannot write {out}: {error.strerror}", hint="choose another --out") from error
        say(f"wrote {out}")


def _render(description: "DescriptionFile", format_: Format, *, every: bool) -> str:
    import csv
    import io
    import json

    entries = [entry for entry in description.anomalies if entry.enabled or every]
    if format_ is Format.TXT:
        return "".join(f"{entry.text}\n" for entry in entries)
    if format_ is Format.JSON:
        return json.dumps([entry.text for entry in entries], indent=2, ensure_ascii=False) + "\n"
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = ("id", "text", "family", "part", "source", "enabled", "locked", "note")
    writer.writerow(("category", "version", *columns))
    for entry in entries:
        writer.writerow((description.category, description.version, *(getattr(entry, column) for column in columns)))
    return stream.getvalue()
