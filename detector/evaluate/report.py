"""Results as one JSON document, as a table for pandas, and as the contributions that prompt-forge reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from descriptions.files import atomic_write
from descriptions.refs import parse_ref
from detector.evaluate.errors import EvaluationError
from detector.evaluate.resample import Interval, excludes_zero, interval
from detector.evaluate.run import Evaluation
from detector.evaluate.summary import CategoryResult, VariantResult
from detector.metrics.compute import METRICS, mean_metrics

RESULTS = "results.json"
CONTRIBUTIONS = "contributions.json"

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_document(evaluation: Evaluation) -> dict[str, Any]:
    """The JSON document scripts rely on: `categories` and `mean`, each with the variants under their names.

    A metric is a fraction or null; beside `x` stand `x_interval`, and for all but the first variant `x_difference`
    and `x_difference_interval`. `x_error` bounds what binning can have changed. `data_hash` is equal where images and
    masks are.
    """
    return {
        "categories": {each.category: _category(each) for each in evaluation.categories},
        "mean": _means(evaluation.categories),
        "failed": [failure._asdict() for failure in evaluation.failures],
        "warnings": list(evaluation.warnings),
    }


def _category(result: CategoryResult) -> dict[str, Any]:
    defective = sum(sample.defective for sample in result.images)
    return {
        "good": len(result.images) - defective,
        "defective": defective,
        "data_hash": result.data_hash,
        "variants": {variant.name: _variant(variant) for variant in result.variants},
    }


def _variant(variant: VariantResult) -> dict[str, Any]:
    row: dict[str, Any] = {"control": variant.control, "content_hash": variant.content_hash}
    for name in METRICS:
        row[name] = variant.metrics.values[name]
        row[f"{name}_interval"] = variant.intervals[name]
        if name in variant.differences:
            row[f"{name}_difference"], row[f"{name}_difference_interval"] = variant.differences[name]
        if name in variant.metrics.error:
            row[f"{name}_error"] = variant.metrics.error[name]
    row["notes"] = list(variant.metrics.notes)
    row["contributions"] = [each._asdict() for each in variant.contributions]
    return row


def _means(categories: Sequence[CategoryResult]) -> dict[str, Any]:
    """Mean over categories of the variants that every category has, with intervals where there are several.

    A draw of the mean is the mean of one draw of every category that has the metric; those of different categories
    are independent.
    """
    names = [variant.name for variant in categories[0].variants] if categories else []
    found: dict[str, Any] = {}
    first: dict[str, Any] = {}
    for name in names:
        rows = [variant for each in categories for variant in each.variants if variant.name == name]
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
        found[name] = row
    return found


def _mean_draws(rows: Sequence[VariantResult], metric: str) -> NDArray[np.float64]:
    """Mean in every draw over the categories that have the metric, which are those that its value is the mean of."""
    present = [each.draws[metric] for each in rows if each.metrics.values[metric] is not None]
    mean: NDArray[np.float64] = np.mean(present or [each.draws[metric] for each in rows], axis=0)
    return mean


def to_frame(document: dict[str, Any]) -> pd.DataFrame:
    """One row a category and variant, one column a metric, interval end or difference."""
    rows = []
    groups = [(category, result["variants"]) for category, result in document["categories"].items()]
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
    return frame.to_csv(index=False)


def write_results(out: Path, document: dict[str, Any]) -> None:
    """Write `results.json` and `results.csv`."""
    atomic_write(out / RESULTS, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    atomic_write(out / "results.csv", to_csv(document))


def write_contributions(out: Path, evaluation: Evaluation) -> None:
    """Write what each description is worth, a file a version in `contributions/`; `contributions.json` is the first.

    `prompt-forge show --scores` and `prompt-forge prune` read these.
    """
    found = [variant for result in evaluation.categories for variant in result.variants if variant.contributions]
    for index, variant in enumerate(found):
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


def compare(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """Second run minus first, for every category and variant that both have.

    Raises:
        EvaluationError: they have nothing in common.
    """
    rows = []
    for category, result in first["categories"].items():
        others = second["categories"].get(category, {}).get("variants", {})
        for name, variant in result["variants"].items():
            if name in others:
                pairs = {metric: (variant[metric], others[name][metric]) for metric in METRICS}
                deltas = {metric: b - a for metric, (a, b) in pairs.items() if a is not None and b is not None}
                rows.append({"category": category, "variant": name, **deltas})
    if not rows:
        raise EvaluationError("the two runs share no category and variant", expected="runs over the same descriptions")
    return rows


def other_data(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Categories that both runs have, over different images or masks; runs that say nothing about it are left out."""
    known = [
        (category, run.get("data_hash"), second["categories"].get(category, {}).get("data_hash"))
        for category, run in first["categories"].items()
    ]
    return [category for category, one, other in known if one and other and one != other]


def in_words(first: str, other: str, changes: Sequence[tuple[float | None, Interval | None]]) -> str:
    """One sentence: in what `other` is better and worse than `first`, where the interval leaves no doubt.

    Args:
        first: name of the variant compared with.
        other: name of the variant.
        changes: `other` minus `first` with its interval, for each of `METRICS`.
    """
    sure = [(metric, value) for metric, (value, found) in zip(METRICS, changes, strict=True) if excludes_zero(found)]
    better = ", ".join(metric_name(metric) for metric, value in sure if (value or 0) > 0)
    worse = ", ".join(metric_name(metric) for metric, value in sure if (value or 0) < 0)
    said = [f"{word} in {metrics}" for word, metrics in (("better", better), ("worse", worse)) if metrics]
    return f"{other} against {first}: {'; '.join(said) or 'no evidence of a difference'}"


def metric_name(name: str) -> str:
    """A metric as people write it."""
    shown = {"auroc": "AUROC", "ap": "AP", "f1max": "F1-max", "aupro": "AUPRO"}
    return " ".join(shown.get(word, word) for word in name.split("_"))
