"""`prompt-forge improve`: a version that learns from what the detector sees."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prompt_forge import defaults
from prompt_forge.cli.options import AsJson, DescriptionsDir, RefArgument

if TYPE_CHECKING:
    from descriptions.format.schema import DescriptionFile
    from prompt_forge.improve.loop import Search
    from prompt_forge.improve.session import AskModel, Report


def improve(
    ref: RefArgument,
    data: Annotated[Path | None, typer.Option(help="Data set, or with --labels photos.", show_default=False)] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="MARKS", help="Marks of `detector serve`: which photos are good.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds at most.")] = defaults.ROUNDS,
    budget: Annotated[int | None, typer.Option(min=1, help="Tokens of the language model at most.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split into steer and confirm.")] = defaults.SEED,
    model: Annotated[str | None, typer.Option(help="Language model; `none` drops phrases only.")] = None,
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible endpoint.")] = None,
    preset: Annotated[str | None, typer.Option(help="Of the detector.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Of the detector, instead of a preset.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is seen and asked; ask nobody.")] = False,
    descriptions_dir: DescriptionsDir = None,
    as_json: AsJson = False,
) -> None:
    """Change what helps the detector on one half of the photos; a new version only where the other half confirms it.

    The detector runs as a program of its own. No gain is a normal end: exit code 0, and no new version.

    Example: `prompt-forge improve capsule --data pictures`
    """
    from descriptions.common.errors import SettingsError
    from descriptions.store import Store
    from prompt_forge.console import say
    from prompt_forge.improve.loop import Search
    from prompt_forge.improve.measuring import start_detector
    from prompt_forge.improve.session import conclude

    if data is None and labels is None:
        raise SettingsError("nothing to measure on", hint="type --data DIR, or --labels MARKS")
    store = Store.open(descriptions_dir)
    start = store.load(ref)
    if not dry_run:
        Store.open(descriptions_dir, writable=True)  # refused before the work, not after it
    whom = {"model": model, "base_url": base_url, "max_tokens_total": budget}
    with ExitStack() as stack:
        say("measuring: each photo is encoded once")
        detector = stack.enter_context(
            start_detector(data, labels, start.category, preset=preset, checkpoint=checkpoint)
        )
        for line in detector.problems:
            say(line)
        search = Search(start, detector, seed=seed, say=say)
        if model != "none":
            search.propose = stack.enter_context(_asking(start, whom, show=dry_run))
        if dry_run:
            _show_seen(search)
            return
        try:
            search.run(rounds)
        except KeyboardInterrupt:
            say("interrupted; what was kept so far is compared")
        report = conclude(search, store, descriptions_dir)
    _show(report, descriptions_dir, as_json=as_json)


@contextmanager
def _asking(start: "DescriptionFile", whom: dict[str, Any], *, show: bool) -> "Iterator[AskModel]":
    """The language model; with `show`, what it would be asked first is printed."""
    from descriptions.common.settings import load
    from prompt_forge.console import say
    from prompt_forge.generation.catalog import choose, load_catalog
    from prompt_forge.generation.prepare import GenerateSettings, open_askers, preview
    from prompt_forge.improve.session import AskModel
    from prompt_forge.llm.settings import ModelSettings

    how = load(GenerateSettings, "generate", {})
    product = choose(load_catalog(), start.category).after(start)
    with open_askers(how, load(ModelSettings, "model", whom), [], say) as (asker,):
        if show:
            for one in preview([asker], [product]):
                typer.echo(f"# {one.requests} requests to {one.model}, template {one.template}; the last turn of each:")
                for messages in one.prompts:
                    typer.echo(messages[-1]["content"])
        yield AskModel(asker, product)


def _show_seen(search: "Search") -> None:
    from prompt_forge.console import print_table
    from prompt_forge.improve.proposals import look

    (whole,) = search.measurer.measure([search.start], leave_one_out=True)
    texts = {entry.id: entry.text for entry in search.start.anomalies}
    rows = [
        [one.id, texts[one.id], f"{one.contribution:+.3f}", f"{one.on_good:+.4f}", f"{one.on_defective:+.4f}"]
        for one in look(whole, search.steer, search.defective)
    ]
    print_table(["entry", "text", "image AUROC by it", "raises good by", "raises defective by"], rows)


def _show(report: "Report", folder: Path | None, *, as_json: bool) -> None:
    from prompt_forge.console import print_json, print_line, say
    from prompt_forge.library.revise import remind

    verdict, saved, search = report.verdict, report.saved, report.search
    if as_json:
        kept = [one.proposal._asdict() | {"round": one.round} for one in search.kept]
        confirm = verdict and verdict._asdict() | {"gain": verdict.is_gain, "look": report.look}
        print_json({"ref": saved and saved.ref, "confirm": confirm, "kept": kept, "rounds": search.rounds})
    elif verdict is None:
        print_line(f"no gain: nothing helped on {len(search.steer)} steer photos; no new version")
    else:
        low, high = verdict.interval
        print_line(
            f"{'gain' if verdict.is_gain else 'no gain'}: confirm image AUROC {verdict.before:.3f} -> "
            f"{verdict.after:.3f}, difference {verdict.value:+.3f} [{low:+.3f}, {high:+.3f}], "
            f"{1 - verdict.level:.1%} interval over {len(search.confirm)} photos, look {report.look}"
        )
        print_line(f"saved {saved.ref}, parent {search.start.ref}" if saved else "no new version")
    if saved:
        remind(folder, saved, say)
