"""What photos add to words and words to photos: every version beside references drawn by a seed, and among each other.

Rows are named as everywhere: `capsule@1`, `capsule@1 + 4 references`, `4 references`, `capsule@1 + together`,
`together`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from detector import console
from detector.context.bank import Bank
from detector.context.calibration import Scale, top_mean
from detector.context.distances import mutual_distances
from detector.context.fusion import fuse, on_grid, on_picture, set_scale
from detector.context.tokens import ContextReader, Levels, photo_hash, read_photos
from detector.data import DataSet, Sample, read_mask
from detector.detect.references import ReferenceScorer, squashed
from detector.evaluate.bootstrap import interval
from detector.evaluate.errors import EvaluationError
from detector.evaluate.records import Counts, pack_counts
from detector.evaluate.shown import fraction
from detector.evaluate.summary import CategoryResult, VariantResult, differences, drawn_images, measure_scores
from detector.evaluate.variants import Variant
from detector.images.load import image_size
from detector.metrics import Metrics, count_pixels
from detector.metrics.compute import METRICS
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


class _Drawn(NamedTuple):
    """A row with one draw of references."""

    metrics: Metrics
    draws: dict[str, NDArray[np.float64]]
    """Of the bootstrap."""


Keep = Callable[[str, list[_Scored]], None]


def require_photos(plan: ContextPlan, data: DataSet, tile: int | None = None) -> None:
    """Refuse what a data set cannot give, before anything is scored.

    Raises:
        EvaluationError: fewer good training photos, or test photos, than are asked for; or photos cut into windows.
    """
    if plan and tile is not None:
        option = "--references" if plan.references else "--together"
        raise EvaluationError(
            f"{option} with --tile {tile}", hint="leave out --tile",
            expected="one of them: photos are compared whole, so that windows would serve the words only",
        )  # fmt: skip
    for category in data.categories:
        good = good_photos(data, category)
        if plan.references and max(plan.references) > len(good):
            raise EvaluationError(
                f"--references {max(plan.references)}: {category} has {len(good) or 'no'} good training photos",
                expected=f"train/good with at least {max(plan.references)} photos",
                hint=f"type --references {len(good)}" if good else "leave out --references, or type --together",
            )
        if plan.together and len(data.select(category=category, split="test")) < 2:
            raise EvaluationError(f"--together: {category} has one test photo", expected="at least 2")


def steps(plan: ContextPlan, data: DataSet) -> int:
    """How often `measure` ticks over all categories."""
    photos = len(data.select(split="test"))
    return photos * (1 + plan.draws * len(plan.references) + plan.together)


def measure(
    plan: ContextPlan,
    result: CategoryResult,
    good: Sequence[Sample],
    versions: Sequence[Variant],
    predictor: Predictor,
    *,
    draws: int,
    seed: int,
    tick: Callable[[], object] = lambda: None,
) -> tuple[VariantResult, ...]:
    """Every row of one category: means over draws of references, and standard deviations between them.

    Args:
        plan: which rows.
        result: of the words; its images are compared, and its first version is what rows are compared with.
        good: training photos that references are drawn from; those that cannot be read are left out.
        versions: of the words, no controls.
        predictor: its cache decides whether photos are looked at again.
        draws: of the bootstrap.
        seed: of the bootstrap.
        tick: called once per photo and row, for progress.
    """
    reader = ContextReader(predictor.model, predictor.cache)
    patch = predictor.model.clip.visual.conv1.kernel_size[0]
    grid = (reader.size // patch, reader.size // patch)
    photos = list(_read(result.images, versions, predictor, reader, grid, tick))
    resamples = drawn_images(result.category, result.labels, draws, seed)
    rows: dict[str, list[_Drawn]] = {}

    def keep(name: str, scored: list[_Scored]) -> None:
        scores = np.array([each.score for each in scored])
        counts = _counts(photos, scored, grid, predictor.model.config.image_size)
        rows.setdefault(name, []).append(_Drawn(*measure_scores(scores, result.labels, counts, resamples)))

    for draw in range(plan.draws if plan.references else 0):
        order = np.random.default_rng((plan.seed, draw, *result.category.encode("utf-8", "surrogateescape")))
        drawn = _readable([str(good[index].image) for index in order.permutation(len(good))], plan, predictor)
        for count in plan.references:
            bank = Bank.from_images(predictor.model, drawn[:count], cache=predictor.cache, load=predictor.load)
            _beside(bank, f"{count} reference{'s' * (count != 1)}", photos, versions, predictor, keep, tick)
    if plan.together and len(photos) > 1:
        _among_each_other(photos, versions, keep)
        for _ in photos:
            tick()
    return tuple(_over_draws(name, each, result.variants) for name, each in rows.items())


def good_photos(data: DataSet, category: str) -> list[Sample]:
    """What references are drawn from."""
    return [sample for sample in data.select(category=category, split="train") if not sample.defective]


def _readable(paths: Sequence[str], plan: ContextPlan, predictor: Predictor) -> list[str]:
    """The first photos that can be references, as many as the largest row takes.

    Raises:
        EvaluationError: fewer.
    """
    most = max(plan.references)
    readable: list[str] = []
    seen: set[str] = set()
    for path in paths:
        kept, _ = read_photos([path], seen, predictor.load)
        readable += [photo.name for photo in kept]
        seen |= {photo.content for photo in kept}
        if len(readable) == most:
            return readable
    raise EvaluationError(
        f"--references {most}: only {len(readable)} different good training photos can be read",
        hint="type detector data check to see why",
    )


def _read(
    samples: Sequence[Sample],
    versions: Sequence[Variant],
    predictor: Predictor,
    reader: ContextReader,
    grid: tuple[int, int],
    tick: Callable[[], object],
) -> Iterator[_Photo]:
    for sample in samples:
        picture = predictor.load(sample.image)
        (predictions,) = predictor.predict([picture], [Ask(version.prompts) for version in versions])
        tokens = tuple(level.half().cpu() for level in reader.read([picture])[0])
        words = tuple(on_grid(each.anomaly_map.numpy(), grid) for each in predictions)
        yield _Photo(sample, photo_hash(picture), tokens, words)
        tick()


def _beside(
    bank: Bank,
    name: str,
    photos: Sequence[_Photo],
    versions: Sequence[Variant],
    predictor: Predictor,
    keep: Keep,
    tick: Callable[[], object],
) -> None:
    """The rows of one draw of references."""
    device = ContextReader(predictor.model, size=bank.info.size).device
    far = []
    for photo in photos:
        far.append(bank.distances(tuple(at.float().to(device) for at in photo.tokens), photo.content)[0])
        tick()
    keep(name, [_Scored(bank.score(each), bank.scale.deviations(each)) for each in far])
    for index, version in enumerate(versions):
        scorer = ReferenceScorer(predictor, version.prompts, bank)
        fused = [
            fuse(photo.words[index], each, scorer.words_scale, bank.scale)
            for photo, each in zip(photos, far, strict=True)
        ]
        keep(f"{version.name} + {name}", [_Scored(top_mean(each), each) for each in fused])


def _among_each_other(photos: Sequence[_Photo], versions: Sequence[Variant], keep: Keep) -> None:
    distances = mutual_distances([tuple(level.float() for level in photo.tokens) for photo in photos])
    stacked = np.stack([each.numpy() for each in distances])
    far = set_scale(stacked).deviations(stacked)
    keep("together", [_Scored(top_mean(each), each) for each in far])
    for index, version in enumerate(versions):
        words = np.stack([photo.words[index] for photo in photos])
        fused = fuse(words, far, set_scale(words), Scale(0, 1))
        keep(f"{version.name} + together", [_Scored(top_mean(each), each) for each in fused])


def _counts(
    photos: Sequence[_Photo], scored: Sequence[_Scored], grid: tuple[int, int], size: int
) -> list[Counts | None]:
    """As for the words: pixels at the model's image size."""
    counts: list[Counts | None] = []
    for photo, each in zip(photos, scored, strict=True):
        if not photo.sample.has_pixel_labels:
            counts.append(None)
            continue
        mask = read_mask(photo.sample.mask, image_size(photo.sample.image), size)
        counts.append(pack_counts(count_pixels(squashed(on_picture(each.far, grid, (size, size))), mask)))
    return counts


def _over_draws(name: str, drawn: Sequence[_Drawn], versions: Sequence[VariantResult]) -> VariantResult:
    """Means over draws of references, in every draw of the bootstrap too."""
    values, spread = {}, {}
    for metric in METRICS:
        present = [value for each in drawn if (value := each.metrics.values[metric]) is not None]
        values[metric] = float(np.mean(present)) if present else None
        spread[metric] = float(np.std(present, ddof=1)) if len(present) > 1 else None
    draws = {metric: np.mean([each.draws[metric] for each in drawn], axis=0) for metric in METRICS}
    metrics, first = Metrics(values), versions[0]
    words = next((each for each in versions if name.startswith(f"{each.name} + ")), first)
    return VariantResult(
        name,
        control=False,
        ref=None,
        content_hash=words.content_hash,
        metrics=metrics,
        intervals={metric: interval(each) for metric, each in draws.items()},
        differences=differences(first.metrics, metrics, first.draws, draws),
        scores=(),
        contributions=(),
        draws=draws,
        reference_draws=len(drawn),
        spread=spread,
    )


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
