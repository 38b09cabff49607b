"""What photos add to words and words to photos: every version beside references drawn by a seed, and among each other.

Rows are named as everywhere: `capsule@1`, `capsule@1 + 4 references`, `4 references`, `capsule@1 + together`,
`together`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from detector import console
from detector.context.bank import Bank
from detector.context.calibration import Scale, top_mean
from detector.context.distances import mutual_distances
from detector.context.fusion import fuse, on_grid, on_picture, set_scale
from detector.context.tokens import ContextReader, Levels, photo_hash
from detector.data import DataSet, Sample, read_mask
from detector.detect.references import ReferenceScorer, squashed
from detector.evaluate.errors import EvaluationError
from detector.evaluate.shown import fraction
from detector.evaluate.variants import Variant
from detector.images.load import ImageError, image_size
from detector.metrics import Histogram, count_pixels
from detector.metrics.compute import METRICS, image_metrics, pixel_metrics_binned
from detector.metrics.pixels import add
from detector.scoring.predictor import Ask, Predictor

REFERENCE_DRAWS = 5
"""Draws of references, as few-shot papers report."""
SHOWN = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")


class ContextPlan(NamedTuple):
    """Which context is measured."""

    references: tuple[int, ...] = ()
    """How many good photos, each a row."""
    together: bool = False
    draws: int = REFERENCE_DRAWS
    """Of references."""
    seed: int = 0

    def __bool__(self) -> bool:
        return bool(self.references) or self.together


class _Photo(NamedTuple):
    """A test photo as far as it is needed again."""

    sample: Sample
    content: str
    tokens: Levels
    words: tuple[Float[np.ndarray, " patches"], ...]
    """One map a version."""


class _Scored(NamedTuple):
    """One photo in one row."""

    score: float
    far: Float[np.ndarray, " patches"]
    """Deviations from good."""


def require_photos(plan: ContextPlan, data: DataSet) -> None:
    """Refuse what a data set cannot give, before anything is scored.

    Raises:
        EvaluationError: fewer good training photos, or test photos, than are asked for.
    """
    for category in data.categories:
        good = _good(data, category)
        if plan.references and max(plan.references) > len(good):
            raise EvaluationError(
                f"--references {max(plan.references)}: {category} has {len(good) or 'no'} good training photos",
                expected=f"train/good with at least {max(plan.references)} photos",
                hint=f"type --references {len(good)}" if good else "leave out --references, or type --together",
            )
        if plan.together and len(data.select(category=category, split="test")) < 2:
            raise EvaluationError(f"--together: {category} has one test photo", expected="at least 2")


def measure(
    plan: ContextPlan, data: DataSet, category: str, versions: Sequence[Variant], predictor: Predictor
) -> dict[str, dict[str, Any]]:
    """Metrics of every row of one category: mean over the draws, and standard deviation between them.

    Args:
        plan: which rows.
        data: with test photos, and with good training photos where references are asked for.
        category: one of its products.
        versions: of the words, no controls.
        predictor: its cache decides whether photos are looked at again.

    Returns:
        By the name of the row: `draws`, and per metric its mean (None where it does not exist) and `<metric>_spread`
        (None for one draw).
    """
    reader = ContextReader(predictor.model, predictor.cache)
    patch = predictor.model.clip.visual.conv1.kernel_size[0]
    grid = (reader.size // patch, reader.size // patch)
    photos = list(_read(data.select(category=category, split="test"), versions, predictor, reader, grid))
    rows: dict[str, list[dict[str, float | None]]] = {}

    def keep(name: str, scored: list[_Scored]) -> None:
        rows.setdefault(name, []).append(_metrics(photos, scored, grid, predictor.model.config.image_size))

    good = [str(sample.image) for sample in _good(data, category)]
    for draw in range(plan.draws if plan.references else 0):
        seed = (plan.seed, draw, *category.encode("utf-8", "surrogateescape"))
        order = np.random.default_rng(seed).permutation(len(good))
        for count in plan.references:
            drawn = [good[index] for index in order[:count]]
            bank = Bank.from_images(predictor.model, drawn, cache=predictor.cache)
            _beside(bank, f"{count} reference{'s' * (count != 1)}", photos, versions, predictor, keep)
    if plan.together and len(photos) > 1:
        _among_each_other(photos, versions, keep)
    return {name: _over_draws(each) for name, each in rows.items()}


def _good(data: DataSet, category: str) -> list[Sample]:
    return [sample for sample in data.select(category=category, split="train") if not sample.defective]


def _read(
    samples: Sequence[Sample],
    versions: Sequence[Variant],
    predictor: Predictor,
    reader: ContextReader,
    grid: tuple[int, int],
) -> Iterator[_Photo]:
    for sample in samples:
        try:
            picture = predictor.load(sample.image)
        except ImageError:  # reported by the evaluation of the words
            continue
        (predictions,) = predictor.predict([picture], [Ask(version.prompts) for version in versions])
        tokens = tuple(level.half().cpu() for level in reader.read([picture])[0])
        words = tuple(on_grid(each.anomaly_map.numpy(), grid) for each in predictions)
        yield _Photo(sample, photo_hash(picture), tokens, words)


def _beside(
    bank: Bank,
    name: str,
    photos: Sequence[_Photo],
    versions: Sequence[Variant],
    predictor: Predictor,
    keep: Callable[[str, list[_Scored]], None],
) -> None:
    """The rows of one draw of references."""
    device = ContextReader(predictor.model, size=bank.info.size).device
    far = [bank.distances(tuple(at.float().to(device) for at in each.tokens), each.content)[0] for each in photos]
    keep(name, [_Scored(bank.score(each), bank.scale.deviations(each)) for each in far])
    for index, version in enumerate(versions):
        scorer = ReferenceScorer(predictor, version.prompts, bank)
        fused = [
            fuse(photo.words[index], each, scorer.words_scale, bank.scale)
            for photo, each in zip(photos, far, strict=True)
        ]
        keep(f"{version.name} + {name}", [_Scored(top_mean(each), each) for each in fused])


def _among_each_other(
    photos: Sequence[_Photo], versions: Sequence[Variant], keep: Callable[[str, list[_Scored]], None]
) -> None:
    distances = mutual_distances([tuple(level.float() for level in photo.tokens) for photo in photos])
    stacked = np.stack([each.numpy() for each in distances])
    far = set_scale(stacked).deviations(stacked)
    keep("together", [_Scored(top_mean(each), each) for each in far])
    for index, version in enumerate(versions):
        words = np.stack([photo.words[index] for photo in photos])
        fused = fuse(words, far, set_scale(words), Scale(0, 1))
        keep(f"{version.name} + together", [_Scored(top_mean(each), each) for each in fused])


def _metrics(
    photos: Sequence[_Photo], scored: Sequence[_Scored], grid: tuple[int, int], size: int
) -> dict[str, float | None]:
    """As for the words: pixels at the model's image size, all photos together."""
    labels = np.array([photo.sample.defective for photo in photos], dtype=bool)
    values = dict(image_metrics(np.array([each.score for each in scored]), labels).values)
    pooled: Histogram | None = None
    for photo, each in zip(photos, scored, strict=True):
        if photo.sample.has_pixel_labels:
            mask = read_mask(photo.sample.mask, image_size(photo.sample.image), size)
            counts = count_pixels(squashed(on_picture(each.far, grid, (size, size))), mask)
            pooled = counts if pooled is None else add(pooled, counts)
    return values | (dict(pixel_metrics_binned(pooled).values) if pooled is not None else {})


def _over_draws(draws: Sequence[dict[str, float | None]]) -> dict[str, Any]:
    row: dict[str, Any] = {"draws": len(draws)}
    for metric in METRICS:
        values = [value for draw in draws if (value := draw.get(metric)) is not None]
        row[metric] = float(np.mean(values)) if values else None
        row[f"{metric}_spread"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return row


def print_context(document: dict[str, Any]) -> None:
    """One table a category: words, photos, and both."""
    for category, rows in document["context"].items():
        words = {name: row for name, row in document["categories"][category]["variants"].items() if not row["control"]}
        title = f"{category}: with other photos (mean, deviation between draws of references)"
        made = console.table(title, "variant", *(">!" + name.replace("_", "\n") for name in SHOWN))
        for name, row in (words | rows).items():
            made.add_row(console.safe(name), *(_cell(row[metric], row.get(f"{metric}_spread")) for metric in SHOWN))
        console.stdout().print(made)


def _cell(value: float | None, spread: float | None) -> str:
    return fraction(value) + (f"\n± {fraction(spread)}" if spread is not None else "")
