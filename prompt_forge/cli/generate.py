"""`prompt-forge generate`: from a category name to a draft description file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from prompt_forge import defaults
from prompt_forge.cli.options import AsJson, DescriptionsDir
from prompt_forge.console import print_json, print_line, say

if TYPE_CHECKING:
    from descriptions.store import Store
    from prompt_forge.generation.catalog import Product
    from prompt_forge.generation.generate import Asker, Result
    from prompt_forge.generation.prepare import GenerateSettings, Wanted
    from prompt_forge.generation.progress import Voice
    from prompt_forge.llm.settings import ModelSettings

_DROPPED = 12
"""Entries left out of one product that are named on the screen."""
_ASKING, _RUN, _WHAT = "How to ask", "The run", "What to ask about"


def generate(
    category: Annotated[
        list[str] | None, typer.Option(help="Product; repeat for several.", rich_help_panel=_WHAT)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All products of the catalog.", rich_help_panel=_WHAT)] = False,
    from_file: Annotated[
        Path | None, typer.Option(help="One name a line, or YAML like catalog.yaml.", rich_help_panel=_WHAT)
    ] = None,
    object_name: Annotated[str | None, typer.Option(help="The words CLIP reads.", rich_help_panel=_WHAT)] = None,
    parts: Annotated[str, typer.Option(help="Visible parts, by commas.", rich_help_panel=_WHAT)] = "",
    families: Annotated[str, typer.Option(help="Kinds of defect, by commas.", rich_help_panel=_WHAT)] = "",
    model: Annotated[
        list[str] | None, typer.Option(help="Model; repeat for an ensemble; `local`.", rich_help_panel=_ASKING)
    ] = None,
    base_url: Annotated[
        list[str] | None,
        typer.Option(help="OpenAI-compatible endpoint; one, or one per `--model`.", rich_help_panel=_ASKING),
    ] = None,
    template: Annotated[str | None, typer.Option(help="See `templates list`.", rich_help_panel=_ASKING)] = None,
    strategy: Annotated[str | None, typer.Option(help="auto, structured or family.", rich_help_panel=_ASKING)] = None,
    count: Annotated[
        int | None, typer.Option(help=f"Entries per product [{defaults.COUNT}].", rich_help_panel=_ASKING)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help=f"Same seed, same file [{defaults.SEED}].", rich_help_panel=_ASKING)
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help=f"Of sampling [{defaults.TEMPERATURE:g}].", rich_help_panel=_ASKING)
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer, thoughts included.", rich_help_panel=_ASKING)
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help=f"Seconds for one try [{defaults.TIMEOUT:g}].", rich_help_panel=_RUN)
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help=f"Products at once [{defaults.CONCURRENCY}].", rich_help_panel=_RUN)
    ] = None,
    rpm: Annotated[float | None, typer.Option(help="Requests per minute.", rich_help_panel=_RUN)] = None,
    max_tokens_total: Annotated[int | None, typer.Option(help="Tokens to spend.", rich_help_panel=_RUN)] = None,
    max_cost: Annotated[float | None, typer.Option(help="Money to spend.", rich_help_panel=_RUN)] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Cached answers only.", rich_help_panel=_RUN)] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask again.", rich_help_panel=_RUN)] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no answers.", rich_help_panel=_RUN)] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show prompts only.", rich_help_panel=_RUN)] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the version exists.", rich_help_panel=_RUN)
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Say every question as a line on stderr.", rich_help_panel=_RUN)
    ] = False,
    descriptions_dir: DescriptionsDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a language model describe the anomalies of a product; saved as a new draft version.

    Example: `prompt-forge generate --category capsule`

    Example: `prompt-forge generate --category gear --parts "tooth,hub" --model gpt-4.1 --base-url https://HOST/v1`
    """
    from descriptions.common.settings import load
    from prompt_forge.generation.prepare import GenerateSettings, Wanted
    from prompt_forge.llm.settings import ModelSettings

    models, urls = list(model or []), list(base_url or [])
    asking = {
        "template": template, "strategy": strategy, "count": count, "seed": seed, "temperature": temperature,
        "concurrency": concurrency,
    }  # fmt: skip
    whom = {
        "model": models[0] if models else None, "base_url": urls[0] if urls else None, "max_tokens": max_tokens,
        "timeout": timeout, "requests_per_minute": rpm, "max_tokens_total": max_tokens_total, "max_cost": max_cost,
        "offline": offline or None, "refresh": refresh or None, "cache": False if no_cache else None,
    }  # fmt: skip
    task = _Task(
        Wanted(category or (), every, from_file, object_name, _listed(parts), _listed(families)),
        load(GenerateSettings, "generate", asking), load(ModelSettings, "model", whom), models, urls,
        descriptions_dir, dry_run=dry_run, force=force or refresh, as_json=as_json, follow=follow,
    )  # fmt: skip
    _finish(_carry_out(task))


class _Task(NamedTuple):
    """What was typed, with the settings that stand for the rest."""

    wanted: "Wanted"
    settings: "GenerateSettings"
    model: "ModelSettings"
    models: list[str]
    urls: list[str]
    descriptions_dir: Path | None
    dry_run: bool
    force: bool
    as_json: bool
    follow: bool


def _carry_out(task: _Task) -> "list[Result]":
    """Ask, save and show; a dry run only shows what would be asked and has no results."""
    from descriptions.store import Store
    from prompt_forge.generation.generate import latest
    from prompt_forge.generation.prepare import check_products, open_askers, pick_products, remarks
    from prompt_forge.generation.progress import Voice
    from prompt_forge.library.revise import remind

    voice, products = Voice(), pick_products(task.wanted)
    for line in remarks(products):
        say(line)
    with open_askers(task.settings, task.model, task.models, voice, task.urls) as askers:
        for line in check_products(askers, products):
            say(line)
        store = Store.open(task.descriptions_dir, writable=True)
        if task.dry_run:
            saved = [product.after(latest(store, product.category)) for product in products]
            _show_prompts(askers, saved, as_json=task.as_json)
            return []
        results = _run(
            askers, products, store, task.settings.concurrency, force=task.force, as_json=task.as_json, voice=voice,
            follow=task.follow,
        )  # fmt: skip
    for result in results:
        if result.status == "written":
            remind(task.descriptions_dir, store.load(result.ref or ""), say)
    return results


def _listed(text: str) -> list[str]:
    return [item for item in text.split(",") if item.strip()]


def _run(
    askers: "Sequence[Asker]",
    products: "Sequence[Product]",
    store: "Store",
    concurrency: int,
    *,
    force: bool,
    as_json: bool,
    voice: "Voice",
    follow: bool,
) -> "list[Result]":
    from prompt_forge.generation.generate import Run
    from prompt_forge.generation.progress import FamilyProgress

    results = []
    one_by_one = any(model.endpoint == "embedded" for model, _ in askers)
    steps = max(recipe.count for _, recipe in askers)
    with FamilyProgress(len(products), steps, follow=follow) as bar:
        voice.bar = bar
        run = Run(askers, store, force=force, tick=bar.tick)
        for result in run.over(products, 1 if one_by_one else concurrency):
            bar.done(result.category)
            results.append(result)
            with bar.aside():
                _show(result, on_stdout=not as_json)
    voice.bar = None
    if as_json:
        print_json(_document(results))
    elif len(results) > 1:
        print_line(_total(results))
    return results


def _show(result: "Result", *, on_stdout: bool) -> None:
    if result.status == "failed":
        say(f"failed {result.category}: {result.error}")
        return
    if result.left_out:
        say(f"{result.category}: asked without {', '.join(result.left_out)}, which the server refuses")
    if on_stdout:
        _show_saved(result)
    for one in result.dropped[:_DROPPED]:
        say(f"{result.category}: left out {one.text!r}: {one.reason}")
    if (more := len(result.dropped) - _DROPPED) > 0:
        say(f"{result.category}: and {more} more were left out; --json lists them")


def _show_saved(result: "Result") -> None:
    line = f"{result.status} {result.path}: {result.enabled} of {result.entries} entries enabled"
    if result.status == "present":
        line += " (same model, template and settings; --force asks again)"
    else:
        answers = f"{result.calls} model calls" if result.calls else "all from the cache"
        line += f", {result.seconds:.1f} s, {result.tokens} tokens, {answers}"
    print_line(line)


def _total(results: "list[Result]") -> str:
    from collections import Counter

    counts = Counter(result.status for result in results)
    states = ", ".join(f"{number} {status}" for status, number in counts.items())
    seconds, tokens = sum(result.seconds for result in results), sum(result.tokens for result in results)
    return f"{len(results)} products: {states}; {seconds:.1f} s, {tokens} tokens"


def _document(results: "list[Result]") -> dict[str, object]:
    return {
        "results": [result.model_dump(exclude_none=True) for result in results],
        "seconds": round(sum(result.seconds for result in results), 2),
        "tokens": sum(result.tokens for result in results),
        "calls": sum(result.calls for result in results),
    }


def _finish(results: "list[Result]") -> None:
    failed = [result for result in results if result.status == "failed"]
    if failed:
        say(f"{len(failed)} of {len(results)} products failed; the same command tries only these again")
        raise typer.Exit(1)


def _show_prompts(askers: "Sequence[Asker]", products: "Sequence[Product]", *, as_json: bool) -> None:
    from descriptions.common.terminal import printable
    from prompt_forge.generation.prepare import preview

    previews = list(preview(askers, products))
    if as_json:
        print_json([one.model_dump() for one in previews])
        return
    for one in previews:
        typer.echo(f"# {one.category}: {one.requests} requests to {one.model}, template {one.template}")
        for message in one.prompts[0]:
            typer.echo(printable(f"[{message['role']}]\n{message['content']}"))
        more = f"; {one.requests - 1} more prompts like it (--json shows all)" if one.requests > 1 else ""
        typer.echo(f"# at most about {one.tokens} tokens{more}\n")
