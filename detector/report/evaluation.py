"""The page of `detector eval`: values, differences, curves, what each description is worth, and the worst misses."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from descriptions.common.refs import slug
from detector.data import Sample
from detector.evaluate.bootstrap import Interval
from detector.evaluate.comparison import Evaluation
from detector.evaluate.shown import between, fraction, in_words, is_certain, metric_name
from detector.evaluate.summary import CategoryResult, Contribution, best_threshold
from detector.metrics.compute import METRICS
from detector.metrics.values import pr_line, pro_line, roc_line
from detector.report.charts import Effect, Key, Strip, draw_curves, draw_forest, draw_strips, legend
from detector.report.curves import image_bands, pixel_bands
from detector.report.pages import facts, write_page
from detector.report.pictures import embedded

TITLE = "Which descriptions find the defects"
MISSES = 6
"""Pictures shown of each kind of mistake."""


class Cell(NamedTuple):
    """A number of a table."""

    value: float | None
    shown: str
    between: str
    """Its interval; empty where there is none."""
    certain: bool
    """Whether it is a difference beyond doubt."""


class TableRow(NamedTuple):
    """A variant in a table of metrics."""

    name: str
    control: bool
    cells: list[Cell]


class Comparison(NamedTuple):
    """Values of all variants, what each has more than the first, and the same in words."""

    values: list[TableRow]
    differences: list[TableRow]
    first: str
    sentences: list[str]


class Plot(NamedTuple):
    """A chart with its heading."""

    title: str
    chart: Markup


class Worth(NamedTuple):
    """What each description of one variant is worth."""

    variant: str
    chart: Markup
    rows: list[tuple[Contribution, Cell, Cell]]
    """With the changes of image AUROC and pixel AP."""


class Miss(NamedTuple):
    """A picture that was misjudged."""

    picture: str
    caption: str


class Misses(NamedTuple):
    """One kind of mistake."""

    title: str
    pictures: list[Miss]


class Section(NamedTuple):
    """Everything about one category."""

    category: str
    anchor: str
    good: int
    defective: int
    comparison: Comparison
    notes: list[str]
    strip: Markup
    legend: list[Key]
    plots: list[Plot]
    worth: list[Worth]
    misses: list[Misses]


def write_evaluation(
    path: Path, evaluation: Evaluation, images: Path, about: Mapping[str, Any], mean: Mapping[str, Any]
) -> None:
    """Write the page.

    Args:
        path: of the page.
        evaluation: what it shows.
        images: folder with the records of every category, for the curves over pixels.
        about: what was evaluated and how, by name.
        mean: over categories, as in the JSON document.

    Raises:
        OSError: the folder cannot be written to.
    """
    sections = [
        _section(result, f"category-{number}", images / slug(result.category))
        for number, result in enumerate(evaluation.categories)
    ]
    values = {
        "title": TITLE,
        "facts": facts(about),
        "warnings": evaluation.remarks,
        "metrics": [metric_name(metric) for metric in METRICS],
        "mean": _mean(mean) if len(sections) > 1 and mean else None,
        "sections": sections,
        "failures": evaluation.failures,
    }
    write_page(path, "evaluation.html", values)


def _section(result: CategoryResult, anchor: str, records: Path) -> Section:
    defective = sum(sample.defective for sample in result.images)
    return Section(
        category=result.category,
        anchor=anchor,
        good=len(result.images) - defective,
        defective=defective,
        comparison=_comparison(result),
        notes=[*dict.fromkeys(note for variant in result.variants for note in variant.metrics.notes), *_draws(result)],
        strip=_strip(result, anchor),
        legend=legend([variant.name for variant in result.variants]),
        plots=list(_plots(result, anchor, records)),
        worth=list(_worth(result, anchor)),
        misses=list(_misses(result)),
    )


def _comparison(result: CategoryResult) -> Comparison:
    values, differences = [], []
    for variant in result.rows:
        whole = [_cell(variant.metrics.values[name], variant.intervals[name]) for name in METRICS]
        more = [_cell(*variant.differences.get(name, (None, None)), signed=True) for name in METRICS]
        values.append(TableRow(variant.name, variant.control, whole))
        differences.append(TableRow(variant.name, variant.control, more))
    changes = [[each.differences.get(name, (None, None)) for name in METRICS] for each in result.rows]
    return _compared(values, differences, changes)


def _mean(mean: Mapping[str, Any]) -> Comparison:
    values, differences, changes = [], [], []
    for name, row in mean.items():
        more = [(row.get(f"{metric}_difference"), row.get(f"{metric}_difference_interval")) for metric in METRICS]
        whole = [_cell(row[metric], row[f"{metric}_interval"]) for metric in METRICS]
        values.append(TableRow(name, False, whole))
        differences.append(TableRow(name, False, [_cell(*each, signed=True) for each in more]))
        changes.append(more)
    return _compared(values, differences, changes)


def _compared(
    values: list[TableRow], differences: list[TableRow], changes: Sequence[Sequence[tuple[float | None, Any]]]
) -> Comparison:
    """The first row is what all others are compared with."""
    first = values[0].name
    named = [f"{row.name} (control)" if row.control else row.name for row in values]
    sentences = [in_words(first, name, each) for name, each in zip(named[1:], changes[1:], strict=True)]
    return Comparison(values, differences[1:], first, sentences)


def _cell(value: float | None, interval: Interval | None, *, signed: bool = False) -> Cell:
    certain = signed and is_certain(value, interval)
    return Cell(value, fraction(value, signed=signed), between(interval, signed=signed), certain)


def _draws(result: CategoryResult) -> Iterator[str]:
    """What rows with references are the mean of."""
    drawn = [row for row in result.context if row.reference_draws > 1]
    if drawn:
        spreads = ", ".join(f"{row.name} {fraction(row.spread.get('image_auroc'))}" for row in drawn)
        yield (
            f"Rows with references are means over {drawn[0].reference_draws} draws of them; standard deviation of "
            f"image AUROC between the draws: {spreads}."
        )


def _strip(result: CategoryResult, anchor: str) -> Markup:
    """Scores of the first variant, a row for each kind of defect, the most abnormal first, and one for good images."""
    kinds: dict[str, list[float]] = {}
    good: list[float] = []
    for score, sample in zip(result.variants[0].scores, result.images, strict=True):
        (kinds.setdefault(sample.defect, []) if sample.defective else good).append(score)
    ordered = sorted(kinds, key=lambda kind: -max(kinds[kind]))
    strips = [Strip(kind, "anomalous", kinds[kind]) for kind in ordered]
    if good:
        strips.append(Strip("good", "good", good))
    if not strips:
        return Markup("")
    return draw_strips(strips, best_threshold(result), name=f"{anchor}-scores")


def _plots(result: CategoryResult, anchor: str, records: Path) -> Iterator[Plot]:
    paths, variants = sorted(records.glob("*.npz")), len(result.variants)
    false, true = "false positive rate", "true positive rate"
    planned = [
        ("image ROC", false, true, image_bands(result, roc_line, rising=True)),
        ("image precision-recall", "recall", "precision", image_bands(result, pr_line, rising=False)),
        ("pixel precision-recall", "recall", "precision", pixel_bands(paths, variants, pr_line)),
        ("PRO (pixel overlap by region)", false, "overlap", pixel_bands(paths, variants, pro_line)),
    ]
    for number, (title, x, y, bands) in enumerate(planned):
        if bands:
            name = f"{anchor}-curves-{number}"
            yield Plot(title, draw_curves(bands, x, y, name=name, title=f"{title} of {result.category}"))


def _worth(result: CategoryResult, anchor: str) -> Iterator[Worth]:
    for number, variant in enumerate(result.variants):
        if not variant.contributions:
            continue
        ordered = sorted(variant.contributions, key=lambda each: -(each.pixel_ap_delta or 0))
        masks = any(each.pixel_ap_delta is not None for each in ordered)
        if not masks:
            ordered = sorted(ordered, key=lambda each: -(each.image_auroc_delta or 0))
        effects = [_effect(each, masks=masks) for each in ordered]
        metric = "pixel AP" if masks else "image AUROC"
        chart = draw_forest(effects, name=f"{anchor}-worth-{number}", title=f"{metric} with it minus without it")
        rows = [
            (
                each,
                _cell(each.image_auroc_delta, each.interval, signed=True),
                _cell(each.pixel_ap_delta, each.pixel_ap_interval, signed=True),
            )
            for each in ordered
        ]
        yield Worth(variant.name, chart, rows)


def _effect(each: Contribution, *, masks: bool) -> Effect:
    if masks:
        return Effect(each.text, each.pixel_ap_delta, each.pixel_ap_interval, each.verdict)
    return Effect(each.text, each.image_auroc_delta, each.interval, each.verdict)


def _misses(result: CategoryResult) -> Iterator[Misses]:
    """Defective images with the lowest and good images with the highest score of the first variant."""
    scored = sorted(zip(result.variants[0].scores, result.images, strict=True), key=lambda pair: pair[0])
    missed = [pair for pair in scored if pair[1].defective][:MISSES]
    alarmed = [pair for pair in reversed(scored) if not pair[1].defective][:MISSES]
    for title, pairs in (
        ("Defects with the lowest scores, outlined in red as the masks say", missed),
        ("Good images with the highest scores", alarmed),
    ):
        pictures = [miss for pair in pairs if (miss := _miss(*pair)).picture]
        if pictures:
            yield Misses(f"{title} ({result.variants[0].name})", pictures)


def _miss(score: float, sample: Sample) -> Miss:
    return Miss(embedded(sample), f"{score:.3f} {sample.defect}/{sample.image.name}")
