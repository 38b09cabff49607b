"""Commands that look at the library: list, lint, diff, label, rollback, schema."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prompt_forge.cli.options import AsJson, DescriptionsDir, RefArgument

if TYPE_CHECKING:
    from descriptions.diff import Change
    from descriptions.format.schema import DescriptionFile
    from descriptions.lint import Finding
    from descriptions.store import Store


def list_categories(descriptions_dir: DescriptionsDir = None, as_json: AsJson = False) -> None:
    """List categories, the version a bare name means, all versions and labels; exits with 1 when a file is broken.

    Example: `prompt-forge list`
    """
    from descriptions.store import Store
    from prompt_forge.console import print_json, print_table, say

    store = Store.open(descriptions_dir)
    summaries = [_summary(store, category) for category in store.readable()]
    if as_json:
        print_json(summaries)
    elif summaries:
        columns = ["category", "default", "enabled", "status", "versions", "labels", "library"]
        print_table(columns, [[*map(one.get, columns[:4]), *_others(one), one["library"]] for one in summaries])
    broken = [one["error"] for one in summaries if one["error"]]
    for error in broken:
        say(f"error: {error}")
    if not summaries:
        say(f"no descriptions in {store.root}; type prompt-forge generate --category capsule")
    if broken:
        raise typer.Exit(1)


def _summary(store: "Store", category: str) -> dict[str, Any]:
    from descriptions.common.errors import DescriptionError

    home = store.home(category)
    library = "packaged" if home.read_only else str(home.root)
    summary: dict[str, Any] = {"category": category, "versions": store.versions(category), "library": library}
    summary |= {"latest": summary["versions"][-1], "default": None, "labels": {}}
    summary |= {"enabled": None, "status": None, "error": None}
    try:
        description = store.load(category)
        summary |= {"default": description.version, "labels": store.labels(category)}
        summary |= {"enabled": len(description.enabled_texts), "status": description.status}
    except DescriptionError as error:
        summary["error"] = str(error)
    return summary


def _others(summary: dict[str, Any]) -> tuple[str, str]:
    others = {label: version for label, version in summary["labels"].items() if label not in {"latest", "default"}}
    labels = ", ".join(f"{label}={version}" for label, version in others.items())
    return ", ".join(map(str, summary["versions"])), labels


def lint(
    refs: Annotated[
        list[str] | None, typer.Argument(help="Versions; without: what each bare name means.", metavar="REF")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every version of REF, or of all.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Save safe fixes as a new version.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as well.")] = False,
    leak: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Defect folder of your data set; texts must not equal it.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="PRESET", help="Vision model whose unread words are named, such as mini.")
    ] = None,
    descriptions_dir: DescriptionsDir = None,
    as_json: AsJson = False,
) -> None:
    """Find texts the detector cannot use; exits with 1 when there are errors.

    Example: `prompt-forge lint capsule --fix`
    """
    from descriptions import lint as check
    from descriptions.lint import Context
    from descriptions.store import Store
    from prompt_forge.console import print_json, print_line, print_table

    store = Store.open(descriptions_dir)
    context = Context(leaks=leak or (), model=model or "", readable=_readable(model) if model else None)
    findings: list[dict[str, Any]] = []
    for ref in _every_version(store, refs or store.categories()) if every else refs or store.categories():
        description = _fixed(store, descriptions_dir, store.load(ref)) if fix else store.load(ref)
        for finding in check(description, context):
            findings.append({"ref": description.ref, **finding._asdict(), "text": _text(description, finding)})
    errors = sum(finding["level"] == "error" for finding in findings)
    if as_json:
        print_json(findings)
    else:
        columns = ["ref", "level", "rule", "entry", "text", "message"]
        if findings:
            print_table(columns, [[finding[column] for column in columns] for finding in findings])
        fixable = sum(finding["fixable"] for finding in findings)
        fixes = f"; --fix repairs {fixable}" if fixable else ""
        print_line(f"{errors} errors, {len(findings) - errors} warnings{fixes}")
    if errors or (strict and findings):
        raise typer.Exit(1)


def _readable(model: str) -> "frozenset[int] | None":
    """Tokens that a vision model knows; None for all."""
    from descriptions.common.errors import SettingsError, nearest
    from descriptions.common.tokens import can_tell_words, preset_weights, presets, readable_tokens

    known, path = list(presets()), Path(model)
    if model not in known and not path.is_file():
        expected = f"one of {', '.join(known)}, or a .safetensors file"
        raise SettingsError(f"vision model {model!r}", expected=expected, hint=nearest(model, known))
    if not can_tell_words():
        raise SettingsError("--model needs the word list of open_clip", hint="type: pip install open_clip_torch")
    weights = path if model not in known else preset_weights(model)
    return readable_tokens(weights) if weights else None  # presets without weights take CLIP's, which knows all words


def _every_version(store: "Store", refs: list[str]) -> list[str]:
    from descriptions.common.refs import Ref

    named = dict.fromkeys(store.resolve(ref).category for ref in refs)
    return [str(Ref(category, version)) for category in named for version in store.versions(category)]


def _fixed(store: "Store", folder: Path | None, description: "DescriptionFile") -> "DescriptionFile":
    from descriptions.lint import fix
    from prompt_forge.console import say
    from prompt_forge.library.revise import remind, save_beside, successor

    fixed = fix(description)
    if fixed is description:
        return description
    saved = save_beside(store, folder, successor(description, fixed))
    say(f"fixed {description.ref}; saved as {saved.ref}")
    remind(folder, saved, say)
    return saved


def _text(description: "DescriptionFile", finding: "Finding") -> str:
    return next((entry.text for entry in description.anomalies if entry.id == finding.entry), "")


def diff(
    old: RefArgument,
    new: Annotated[str, typer.Argument(help="What to compare with; default: the latest.", metavar="REF")] = "",
    descriptions_dir: DescriptionsDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare two versions by meaning: entries added, removed, changed.

    Example: `prompt-forge diff capsule@1 capsule@2`
    """
    from descriptions.common.refs import LATEST, Ref, parse_ref
    from descriptions.diff import diff as compare
    from descriptions.store import Store
    from prompt_forge.console import print_json, print_line

    store = Store.open(descriptions_dir)
    difference = compare(store.load(old), store.load(new or Ref(parse_ref(old).category, LATEST)))
    if as_json:
        print_json(difference._asdict() | {"changes": [change._asdict() for change in difference.changes]})
        return
    print_line(
        f"{difference.old} -> {difference.new}" + (" (the detector reads the same)" if difference.same_content else "")
    )
    for change in difference.changes:
        print_line(_change(change))
    if not difference.changes:
        print_line("no differences")


def _change(change: "Change") -> str:
    if change.kind == "added":
        return f"+ {change.where}: {change.after}"
    if change.kind == "removed":
        return f"- {change.where}: {change.before}"
    return f"~ {change.where}: {_value(change.before)} -> {_value(change.after)}"


def _value(value: object) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def label(
    ref: RefArgument,
    name: Annotated[str, typer.Argument(help="Such as reviewed or production.", metavar="LABEL")],
    descriptions_dir: DescriptionsDir = None,
) -> None:
    """Point a movable label at a version.

    Example: `prompt-forge label capsule@2 reviewed`
    """
    from descriptions.store import Store
    from prompt_forge.console import print_line

    target = Store.open(descriptions_dir, writable=True).set_label(ref, name)
    print_line(f"{target.category}@{name} is now {target}")


def rollback(ref: RefArgument, descriptions_dir: DescriptionsDir = None) -> None:
    """Make an old version the latest again: it is copied to a new number; nothing is deleted.

    Example: `prompt-forge rollback capsule@1`
    """
    from descriptions.store import Store
    from prompt_forge.console import print_line, say
    from prompt_forge.library.revise import remind, save_beside, successor

    store = Store.open(descriptions_dir)
    old = store.load(ref)
    saved = save_beside(store, descriptions_dir, successor(old))
    print_line(f"{saved.ref} is {old.ref} again")
    remind(descriptions_dir, saved, say)


def schema() -> None:
    """Print the JSON schema of a description file, for editors and other programs.

    Example: `prompt-forge schema > description-schema.json`
    """
    from descriptions.format.schema import DescriptionFile
    from prompt_forge.console import print_json

    print_json(DescriptionFile.model_json_schema())
