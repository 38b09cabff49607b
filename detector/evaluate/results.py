"""Results as one JSON document, as a table for pandas, and as the contributions that prompt-forge reads."""

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from descriptions.common.files import atomic_write
from descriptions.common.refs import parse_ref
from detector.console import encodable
from detector.evaluate.bootstrap import Interval, interval
from detector.evaluate.comparison import Evaluation
from detector.evaluate.errors import EvaluationError
from detector.evaluate.summary import CategoryResult, VariantResult
from detector.metrics.compute import METRICS, mean_metrics

RESULTS = "results.json"
CONTRIBUTIONS = "contributions.json"
DRAWS = "draws.npz"

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_document(evaluation: Evaluation) -> dict[str, Any]:
    """The JSON document scripts rely on: `categories` and `mean`, each with the variants under their names.

    Rows with other photos stand under `context`, by category and name, where there are any.

    A metric is a fraction or null; beside `x` stand `x_interval`, and for all but the first variant `x_difference`
    and `x_difference_interval`. `x_error` bounds what binning can have changed. `data_hash` is equal where images and
    masks are.
    """
    document = {
        "categories": {each.category: _category(each) for each in evaluation.categories},
        "mean": _means(evaluation.categories),
        "bootstrap": evaluation.bootstrap,
        "failed": [failure._asdict() for failure in evaluation.failures],
        "warnings": list(evaluation.remarks),
    }
    if any(each.context for each in evaluation.categories):
        document["context"] = {
            each.category: {row.name: _in_context(row) for row in each.context} for each in evaluation.categories
        }
    return document


def rows_of(document: dict[str, Any], category: str) -> dict[str, Any]:
    """All rows of a category of a document, by name: words, controls, and those with other photos."""
    words: dict[str, Any] = document["categories"].get(category, {}).get("variants", {})
    others: dict[str, Any] = document.get("context", {}).get(category, {})
    return words | others


def _category(result: CategoryResult) -> dict[str, Any]:
    defective = sum(sample.defective for sample in result.images)
    return {
        "good": len(result.images) - defective,
        "defective": defective,
        "data_hash": result.data_hash,
        "variants": {variant.name: _variant(variant) for variant in result.variants},
    }


def _in_context(row: VariantResult) -> dict[str, Any]:
    spreads = {f"{name}_spread": row.spread.get(name) for name in METRICS}
    return {"draws": row.reference_draws, "control": False, **_metrics(row), **spreads}


def _variant(variant: VariantResult) -> dict[str, Any]:
    row: dict[str, Any] = {"control": variant.control, "content_hash": variant.content_hash, **_metrics(variant)}
    row["notes"] = list(variant.metrics.notes)
    row["contributions"] = [each._asdict() for each in variant.contributions]
    return row


def _metrics(variant: VariantResult) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in METRICS:
        row[name] = variant.metrics.values[name]
        row[f"{name}_interval"] = variant.intervals[name]
        if name in variant.differences:
            row[f"{name}_difference"], row[f"{name}_difference_interval"] = variant.differences[name]
        if name in variant.metrics.error:
            row[f"{name}_error"] = variant.metrics.error[name]
    return row


def _means(categories: Sequence[CategoryResult]) -> dict[str, Any]:
    """Mean over categories of the variants that every category has, with intervals where there are several.

    A draw of the mean is the mean of one draw of every category that has the metric; those of different categories
    are independent.
    """
    names = [variant.name for variant in categories[0].rows] if categories else []
    means: dict[str, Any] = {}
    first: dict[str, Any] = {}
    for name in names:
        rows = [variant for each in categories for variant in each.rows if variant.name == name]
        if len(rows) != len(categories):
            continue
        values = mean_metrics([each.metrics for each in rows]).values
        row: dict[str, Any] = {}
        drawn = {metric: _mean_draws(rows, metric) for metric in METRICS}
        for metric in METRICS:
            row[metric], row[f"{metric}_interval"] = values[metric], interval(drawn[metric])
            if first and (was := first["values"][metric]) is not None and (now := values[metric]) is not None:
                row[f"{metric}_difference"] = now - was
                row[f"{metric}_difference_interval"] = interval(drawn[metric] - first["drawn"][metric])
        first = first or {"values": values, "drawn": drawn}
        means[name] = row
    return means


def _mean_draws(rows: Sequence[VariantResult], metric: str) -> NDArray[np.float64]:
    """Mean in every draw over the categories that have the metric, which are those that its value is the mean of."""
    present = [each.draws[metric] for each in rows if each.metrics.values[metric] is not None]
    mean: NDArray[np.float64] = np.mean(present or [each.draws[metric] for each in rows], axis=0)
    return mean


def to_frame(document: dict[str, Any]) -> pd.DataFrame:
    """One row a category and variant, one column a metric, interval end or difference."""
    rows = []
    groups = [(category, rows_of(document, category)) for category in document["categories"]]
    for category, variants in [*groups, ("mean", document["mean"])]:
        for name, variant in variants.items():
            row = {"category": category, "variant": name, "control": variant.get("control")}
            for key, value in variant.items():
                if key.endswith("_interval"):
                    row[f"{key[:-9]}_low"], row[f"{key[:-9]}_high"] = value or (None, None)
                elif key.startswith(METRICS):
                    row[key] = value
            rows.append(row)
    return pd.DataFrame(rows)


def to_csv(document: dict[str, Any]) -> str:
    """The table as a file; a category that a spreadsheet would take for a formula has an apostrophe in front."""
    frame = to_frame(document)
    frame["category"] = frame["category"].map(lambda name: f"'{name}" if name.startswith(_FORMULA) else name)
    return encodable(frame.to_csv(index=False))


def write_results(out: Path, document: dict[str, Any], evaluation: Evaluation) -> None:
    """Write `results.json`, `results.csv` and `draws.npz`."""
    write_draws(out, evaluation)
    atomic_write(out / RESULTS, encodable(json.dumps(document, indent=2, ensure_ascii=False)) + "\n")
    atomic_write(out / "results.csv", to_csv(document))


def write_contributions(out: Path, evaluation: Evaluation) -> None:
    """Write what each description is worth, a file a version in `contributions/`; `contributions.json` is the first.

    `prompt-forge show --scores` and `prompt-forge prune` read these.
    """
    scored = [variant for result in evaluation.categories for variant in result.variants if variant.contributions]
    for index, variant in enumerate(scored):
        category, version = parse_ref(variant.ref or "")
        content = {
            "category": category,
            "version": version,
            "content_hash": variant.content_hash,
            "phrases": [each._asdict() for each in variant.contributions],
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        atomic_write(out / "contributions" / f"{category}-v{version}.json", text)
        if index == 0:
            atomic_write(out / CONTRIBUTIONS, text)


def read_results(run: Path) -> dict[str, Any]:
    """The document of a finished run.

    Raises:
        EvaluationError: the folder holds none.
    """
    path = run / RESULTS if run.is_dir() else run
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        document["categories"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"no results in {run}", expected="the --out folder of a finished `detector eval`"
        ) from error
    return dict(document)


def compare(
    first: dict[str, Any],
    second: dict[str, Any],
    first_draws: "RunDraws | None" = None,
    second_draws: "RunDraws | None" = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Second run minus first, for every category and variant that both have, and notes on what they do not share.

    Where both runs saw the same images and drew alike, the bootstrap is paired: the same draws of the same images.
    Otherwise their draws are taken as independent, which gives wider intervals, and a note says so.

    Raises:
        EvaluationError: they have nothing in common.
    """
    rows, notes = [], []
    others = set(other_data(first, second))
    for category in first["categories"]:
        ours, theirs = rows_of(first, category), rows_of(second, category)
        shared = [name for name in ours if name in theirs]
        paired = category not in others and _drawn_alike(first, second)
        if shared and category in others:
            notes.append(f"{category}: the runs saw other images or masks of it; that too makes a difference")
        if shared and (first_draws is None or second_draws is None):
            notes.append(f"{category}: no intervals, since a run keeps no draws; run detector eval again to have them")
        elif shared and not paired:
            notes.append(f"{category}: not paired, so the intervals are wider than for the same images and draws")
        for name in shared:
            pairs = {metric: (ours[name][metric], theirs[name][metric]) for metric in METRICS}
            row: dict[str, Any] = {"category": category, "variant": name, "paired": paired}
            for metric, (was, now) in pairs.items():
                if was is not None and now is not None:
                    draws = _difference(first_draws, second_draws, (category, name, metric), paired=paired)
                    row |= {metric: now - was, f"{metric}_interval": draws}
            rows.append(row)
    if not rows:
        raise EvaluationError("the two runs share no category and variant", expected="runs over the same descriptions")
    return rows, notes


RunDraws = dict[tuple[str, str, str], NDArray[np.float32]]
"""Every metric in every draw of the bootstrap, by category, variant and metric."""


def _drawn_alike(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.get("bootstrap") is not None and first.get("bootstrap") == second.get("bootstrap")


def _difference(
    first: RunDraws | None, second: RunDraws | None, key: tuple[str, str, str], *, paired: bool
) -> Interval | None:
    was, now = (first or {}).get(key), (second or {}).get(key)
    if was is None or now is None:
        return None
    count = min(len(was), len(now))
    order = np.arange(count) if paired else np.random.default_rng(0).permutation(count)
    return interval(now[:count].astype(np.float64) - was[:count][order])


def write_draws(out: Path, evaluation: Evaluation) -> None:
    """Write `draws.npz`, from which a later `--compare` takes its intervals."""
    arrays: dict[str, Any] = {}
    names: list[list[str]] = []
    for result in evaluation.categories:
        for variant in result.rows:
            for metric, values in variant.draws.items():
                arrays[str(len(names))] = values.astype(np.float32)
                names.append([result.category, variant.name, metric])
    stream = io.BytesIO()
    np.savez_compressed(stream, names=np.array(json.dumps(names)), **arrays)
    atomic_write(out / DRAWS, stream.getvalue())


def read_draws(run: Path) -> RunDraws | None:
    """The draws that `write_draws` wrote; None where there are none that can be read."""
    try:
        with np.load(run / DRAWS if run.is_dir() else run.with_name(DRAWS)) as stored:
            names = json.loads(str(stored["names"]))
            return {(one[0], one[1], one[2]): stored[str(index)] for index, one in enumerate(names)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None


def other_data(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Categories that both runs have, over different images or masks; runs that say nothing about it are left out."""
    known = [
        (category, run.get("data_hash"), second["categories"].get(category, {}).get("data_hash"))
        for category, run in first["categories"].items()
    ]
    return [category for category, one, other in known if one and other and one != other]
