"""From records to numbers: metrics with intervals, differences, and what each description is worth."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.data import Sample
from detector.evaluate.bootstrap import (
    Draws,
    Groups,
    Interval,
    draw_images,
    group_bins,
    interval,
    over_images,
    over_pixels,
)
from detector.evaluate.record_folder import record_path
from detector.evaluate.records import Counts, gather, read_counts, read_head, unpack_counts
from detector.evaluate.shown import between, fraction, is_certain
from detector.evaluate.variants import Variant
from detector.metrics import Histogram, Metrics, image_metrics, pixel_metrics_binned
from detector.metrics.compute import IMAGE_METRICS, PIXEL_METRICS
from detector.scoring.threshold import Threshold

Verdict = Literal["helps", "hurts", "no evidence"]
Column = tuple[str, str | None]


class Contribution(NamedTuple):
    """What one description is worth: each metric with it minus without it."""

    id: str
    text: str
    verdict: Verdict
    image_auroc_delta: float | None
    interval: Interval | None
    pixel_ap_delta: float | None
    pixel_ap_interval: Interval | None


class VariantResult(NamedTuple):
    """One variant on one category."""

    name: str
    control: bool
    ref: str | None
    content_hash: str
    metrics: Metrics
    intervals: dict[str, Interval | None]
    differences: dict[str, tuple[float, Interval | None]]
    """To the first variant, by metric; empty for the first."""
    scores: tuple[float, ...]
    contributions: tuple[Contribution, ...]
    draws: dict[str, NDArray[np.float64]]
    """Every metric in every draw of the bootstrap."""
    reference_draws: int = 0
    """Draws of references that all metrics, those of the bootstrap too, are the mean of; 0 for words alone."""
    spread: dict[str, float | None] = {}  # noqa: RUF012 - never mutated; a NamedTuple has no default factory
    """Standard deviation between those draws, by metric; None for one."""


class CategoryResult(NamedTuple):
    """All variants on one category."""

    category: str
    images: tuple[Sample, ...]
    """Those that have been scored, in the order of the scores."""
    variants: tuple[VariantResult, ...]
    data_hash: str
    """SHA-256 over these images and their masks."""
    context: tuple[VariantResult, ...] = ()
    """With other photos; see `evaluate.context`."""

    @property
    def rows(self) -> tuple[VariantResult, ...]:
        """All that tables show."""
        return self.variants + self.context

    @property
    def labels(self) -> NDArray[np.bool_]:
        """[images], true for defective ones."""
        return np.array([sample.defective for sample in self.images], dtype=bool)


class _Drawn(NamedTuple):
    """A column's scores and its metrics in every draw."""

    scores: NDArray[np.float64]
    draws: dict[str, NDArray[np.float64]]


def summarise(
    category: str,
    samples: Sequence[Sample],
    variants: Sequence[Variant],
    columns: Sequence[Column],
    folder: Path,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> CategoryResult:
    """Read the records of a category and compute everything that is reported about it.

    Args:
        category: its name.
        samples: all its images, in the order they were scored in.
        variants: what was scored.
        columns: what the columns of the records are.
        folder: of the records; images without one are left out.
        draws: of the bootstrap.
        seed: of the bootstrap.
    """
    stored = [(sample, record_path(folder, index)) for index, sample in enumerate(samples)]
    scored = [(sample, path, head) for sample, path in stored if (head := read_head(path)) is not None]
    images, paths = tuple(sample for sample, _, _ in scored), [path for _, path, _ in scored]
    labels = np.array([sample.defective for sample in images], dtype=bool)
    table = np.array([head.scores for _, _, head in scored], dtype=np.float64).reshape(len(scored), len(columns))
    resamples = drawn_images(category, labels, draws, seed)
    results: list[VariantResult] = []
    first: _Drawn | None = None
    for index, variant in enumerate(variants):
        pooled = gather(paths, index)
        metrics = _measure(table[:, index], labels, pooled)
        drawn = _Drawn(table[:, index], _draw(table[:, index], labels, paths, index, pooled, resamples))
        worth = _contributions(variant, columns, table, labels, paths, resamples, metrics, drawn)
        more = {} if first is None else differences(results[0].metrics, metrics, first.draws, drawn.draws)
        first = first or drawn
        results.append(
            VariantResult(
                variant.name,
                variant.control,
                variant.ref,
                variant.content_hash,
                metrics,
                {name: interval(values) for name, values in drawn.draws.items()},
                more,
                tuple(map(float, table[:, index])),
                worth,
                drawn.draws,
            )
        )
    contents = hashlib.sha256("".join(head.made_from for _, _, head in scored).encode()).hexdigest()
    return CategoryResult(category, images, tuple(results), contents)


def drawn_images(category: str, labels: NDArray[np.bool_], draws: int, seed: int) -> Draws:
    """The draws of the bootstrap that all rows of a category share."""
    return draw_images(labels, draws, (seed, *category.encode("utf-8", "surrogateescape")))


def measure_scores(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], counts: Sequence[Counts | None], draws: Draws
) -> tuple[Metrics, dict[str, NDArray[np.float64]]]:
    """Metrics of scores and maps that no record holds, and each metric in every draw of the bootstrap.

    Args:
        scores: [images].
        labels: [images].
        counts: pixels of every image; None where their labels are not known.
        draws: of the bootstrap.
    """
    known = [unpack_counts(each) for each in counts if each is not None]
    pooled = Histogram(*(np.sum(side, axis=0) for side in zip(*known, strict=True))) if known else None
    images = _by_name(over_images(scores, labels, draws, IMAGE_METRICS), IMAGE_METRICS)
    return _measure(scores, labels, pooled), images | _draw_counts(counts, pooled, draws, PIXEL_METRICS)


def no_better_than_chance(result: CategoryResult) -> str:
    """One line where the first version's image scores may as well be drawn, so that no threshold means anything."""
    first = result.variants[0]
    value, bounds = first.metrics.values["image_auroc"], first.intervals["image_auroc"]
    if value is None or bounds is None or bounds[0] > 0.5:
        return ""
    return (
        f"{result.category}: image AUROC {fraction(value)} [{between(bounds)}] is not clearly above .5: these"
        " scores do not tell good from bad, and a threshold taken from here means nothing"
    )


def best_threshold(result: CategoryResult) -> float | None:
    """The image score from which the first version's F1 is best; None where F1 does not exist."""
    threshold = Threshold.best_f1(result.variants[0].scores, result.labels)
    return None if threshold is None else threshold.value


def _measure(scores: NDArray[np.float64], labels: NDArray[np.bool_], pooled: Histogram | None) -> Metrics:
    images = image_metrics(scores, labels)
    if pooled is None:
        nothing = Metrics(dict.fromkeys(PIXEL_METRICS), ("no masks: image metrics only",))
        return Metrics(images.values | nothing.values, images.notes + nothing.notes)
    pixels = pixel_metrics_binned(pooled)
    return Metrics(images.values | pixels.values, images.notes + pixels.notes, pixels.error)


def _draw(
    scores: NDArray[np.float64],
    labels: NDArray[np.bool_],
    paths: Sequence[Path],
    column: int,
    pooled: Histogram | None,
    draws: Draws,
) -> dict[str, NDArray[np.float64]]:
    """Every metric in every draw."""
    images = _by_name(over_images(scores, labels, draws, IMAGE_METRICS), IMAGE_METRICS)
    return images | draw_pixels(paths, column, pooled, draws, PIXEL_METRICS)


def draw_pixels(
    paths: Sequence[Path], column: int, pooled: Histogram | None, draws: Draws, names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Pixel metrics of every draw of the bootstrap, by name.

    Args:
        paths: records of the images, in the order of the draws.
        column: of the variant in the records.
        pooled: counts of all images; None where no image has a mask.
        draws: [draws, images], how often each image is drawn.
        names: of the metrics.
    """
    return _draw_counts((read_counts(path, column) for path in paths), pooled, draws, names)


def _draw_counts(
    counts: Iterable[Counts | None], pooled: Histogram | None, draws: Draws, names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    if pooled is None:
        return {name: np.full(len(draws), np.nan) for name in names}
    groups = group_bins(pooled)
    values = over_pixels((_grouped(each, groups) for each in counts), groups, draws, names)
    assert values is not None
    return _by_name(values, names)


def _by_name(values: NDArray[np.float64], names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    return {name: values[:, index] for index, name in enumerate(names)}


def _grouped(counts: Counts | None, groups: Groups) -> Histogram | None:
    return None if counts is None else unpack_counts(counts, groups.of, len(groups.at))


def differences(
    first: Metrics, other: Metrics, first_draws: dict[str, NDArray[np.float64]], draws: dict[str, NDArray[np.float64]]
) -> dict[str, tuple[float, Interval | None]]:
    """Other minus first, paired: both come from the same draws."""
    differences = {}
    for name, values in draws.items():
        ours, theirs = other.values[name], first.values[name]
        if ours is not None and theirs is not None:
            differences[name] = (ours - theirs, interval(values - first_draws[name]))
    return differences


def _contributions(
    variant: Variant,
    columns: Sequence[Column],
    table: NDArray[np.float64],
    labels: NDArray[np.bool_],
    paths: Sequence[Path],
    draws: Draws,
    whole: Metrics,
    drawn: _Drawn,
) -> tuple[Contribution, ...]:
    texts = dict(variant.prompts.anomalies)
    contributions = []
    for column, (name, left_out) in enumerate(columns):
        if name != variant.name or left_out is None:
            continue
        scores, pooled = table[:, column], gather(paths, column)
        fewer = _measure(scores, labels, pooled)
        less = {
            **_by_name(over_images(scores, labels, draws, ("image_auroc",)), ("image_auroc",)),
            **draw_pixels(paths, column, pooled, draws, ("pixel_ap",)),
        }
        deltas = differences(fewer, whole, less, {name: drawn.draws[name] for name in less})
        image, pixel = deltas.get("image_auroc", (None, None)), deltas.get("pixel_ap", (None, None))
        contributions.append(Contribution(left_out, texts[left_out], verdict(image, pixel), *image, *pixel))
    return tuple(contributions)


def verdict(*changes: tuple[float | None, Interval | None]) -> Verdict:
    """Helps or hurts where the changes that are certain agree, otherwise no evidence."""
    sure = [value for value, bounds in changes if value is not None and is_certain(value, bounds)]
    helps, hurts = any(value > 0 for value in sure), any(value < 0 for value in sure)
    if helps == hurts:
        return "no evidence"
    return "helps" if helps else "hurts"
