"""What `detector eval` prints on a terminal; nothing is cut at 80 columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector import console
from detector.evaluate.shown import between, change, fraction, in_words
from detector.evaluate.summary import CategoryResult
from detector.metrics.compute import METRICS

SHOWN = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")
"""Metrics in tables, which fit into 80 columns; JSON and CSV have all."""


def print_tables(document: dict[str, Any]) -> None:
    """Per category a table of values above their intervals, and one of differences to the first version."""
    for category, result in document["categories"].items():
        counts = f"{result['good']} good, {result['defective']} defective"
        _print_variants(f"{category}: {counts} (95 % interval)", result["variants"])
        for note in dict.fromkeys(note for variant in result["variants"].values() for note in variant["notes"]):
            console.stderr().print(console.safe(note))
    if len(document["categories"]) > 1:
        _print_variants("mean over categories (95 % interval)", document["mean"])


def _print_variants(title: str, variants: dict[str, Any]) -> None:
    made = console.table(title, "variant", *_headers())
    for name, variant in variants.items():
        cells = [_cell(variant[metric], variant[f"{metric}_interval"]) for metric in SHOWN]
        made.add_row(console.safe(f"{name}\n(control)" if variant.get("control") else name), *cells)
    console.stdout().print(made)
    first, *others = variants
    _print_changes(f"difference to {console.safe(first)}", [(name, variants[name]) for name in others], "_difference")
    for name in others:
        row = variants[name]
        changes = [(row.get(f"{m}_difference"), row.get(f"{m}_difference_interval")) for m in METRICS]
        console.stdout().print(console.safe(in_words(first, name, changes)), soft_wrap=True)


def _print_changes(title: str, rows: Sequence[tuple[str, dict[str, Any]]], suffix: str) -> None:
    """Differences that stand under `<metric><suffix>` and `<metric><suffix>_interval`."""
    made = console.table(f"{title} (a star: the interval excludes 0)", "variant", *_headers())
    for name, row in rows:
        cells = [change(row.get(f"{m}{suffix}"), row.get(f"{m}{suffix}_interval")) for m in SHOWN]
        made.add_row(console.safe(name), *cells)
    console.stdout().print(made)


def print_contributions(categories: Sequence[CategoryResult]) -> None:
    """What each description is worth: metrics with it minus without."""
    for result in categories:
        for variant in result.variants:
            if not variant.contributions:
                continue
            title = f"{variant.name}: each description, with it minus without"
            made = console.table(title, "!id", "description", ">!image\nauroc", ">!pixel\nap", "!verdict")
            for each in variant.contributions:
                cells = (fraction(each.image_auroc_delta, signed=True), fraction(each.pixel_ap_delta, signed=True))
                made.add_row(console.safe(each.id), console.safe(each.text), *cells, each.verdict)
            console.stdout().print(made)


def print_comparison(first: Path, second: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Differences of two runs, `second` minus `first`, a table per category."""
    for category in dict.fromkeys(row["category"] for row in rows):
        here = [(row["variant"], row) for row in rows if row["category"] == category]
        _print_changes(f"{console.safe(category)}: {console.safe(second)} minus {console.safe(first)}", here, "")


def _headers() -> list[str]:
    return [">!" + name.replace("_", "\n") for name in SHOWN]


def _cell(value: float | None, interval: Any) -> str:
    return fraction(value) + (f"\n{between(interval)}" if interval else "")
