"""The HTML report: one self-contained page with curves, bars for every description, and the worst misses."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from descriptions.files import atomic_write
from descriptions.refs import slug
from descriptions.terminal import printable
from detector.console import encodable
from detector.data import Sample, read_mask
from detector.evaluate.records import gather
from detector.evaluate.resample import Interval
from detector.evaluate.run import Evaluation
from detector.evaluate.shown import between, fraction, in_words, is_certain, metric_name
from detector.evaluate.summary import CategoryResult, Contribution
from detector.images import ImageError, image_size, load_image
from detector.metrics.compute import METRICS
from detector.metrics.pixels import rank_histogram
from detector.metrics.ranking import Curve, rank_labels, trace
from detector.metrics.values import Line, pr_line, pro_line, roc_line

_WORTH = (
    "With it minus without it: pixel AP (bar, interval) / image AUROC; the verdict reads both intervals. "
    "Of many intervals some exclude zero by chance."
)

Row = tuple[str, str, Sequence[tuple[float | None, Interval | None]]]
"""Name, class, and a value with its interval for every metric."""

COLOURS = ("#1a73e8", "#d93025", "#188038", "#f29900", "#9334e6", "#5f6368", "#00838f", "#c2185b")
MISSES = 6
"""Pictures shown of each kind of mistake."""

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1180px;padding:1.5rem;color:#202124;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem}.note{color:#5f6368}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.2rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}tr.control{color:#5f6368}small{color:#5f6368;display:block}
.plots,.misses{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{font-size:.8rem;max-width:170px;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
dl{display:grid;grid-template-columns:max-content auto;gap:.1rem 1rem}dt{color:#5f6368}dd{margin:0}
"""


def write_page(
    path: Path, evaluation: Evaluation, images: Path, facts: Mapping[str, str], mean: Mapping[str, Any]
) -> None:
    """Write the report.

    Args:
        path: of the page.
        evaluation: what it shows.
        images: folder with the records of every category, for the curves over pixels.
        facts: what was evaluated and how, by name.
        mean: over categories, as in the JSON document.
    """
    body = "".join([_facts(facts), *_body(evaluation, images), *_mean(mean, len(evaluation.categories))])
    title = "Which descriptions find the defects"
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    top = f'<html lang="en"><head>{head}<style>{_STYLE}</style><title>{title}</title></head>'
    atomic_write(path, f"<!doctype html>\n{top}<body><h1>{title}</h1>{body}</body></html>\n")


def _body(evaluation: Evaluation, images: Path) -> Iterator[str]:
    for line in evaluation.warnings:
        yield f"<p><b>Warning:</b> {_text(line)}</p>"
    for result in evaluation.categories:
        defective = sum(sample.defective for sample in result.images)
        yield f"<h2>{_text(result.category)}</h2>"
        yield f"<p>{len(result.images) - defective} good images, {defective} with a defect.</p>"
        yield _verdicts(_changes(result))
        yield _table(result)
        yield _plots(result, images / slug(result.category))
        for variant in result.variants:
            if variant.contributions:
                yield f"<h3>What each description of {_text(variant.name)} is worth</h3>"
                yield f'<p class="note">{_WORTH}</p>'
                yield _bars(variant.contributions)
        yield _misses(result)
    if evaluation.failures:
        listed = "".join(f"<li>{_text(each.path)}: {_text(each.error)}</li>" for each in evaluation.failures)
        yield f"<h2>Images that could not be used</h2><ul>{listed}</ul>"


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"


def _mean(mean: Mapping[str, Any], categories: int) -> Iterator[str]:
    if categories < 2:
        return
    yield f"<h2>Mean over {categories} categories</h2>"
    values = [(name, [(row[m], row[f"{m}_interval"]) for m in METRICS]) for name, row in mean.items()]
    yield _grid([(name, "", cells) for name, cells in values], _value)
    keys = [(f"{m}_difference", f"{m}_difference_interval") for m in METRICS]
    changes = [(name, "", [(row.get(a), row.get(b)) for a, b in keys]) for name, row in mean.items()]
    yield _verdicts(changes) + _difference(changes)


def _table(result: CategoryResult) -> str:
    """Values of all variants, then what each has more than the first."""
    changes = _changes(result)
    values = [[(each.metrics.values[name], each.intervals[name]) for name in METRICS] for each in result.variants]
    notes = dict.fromkeys(note for variant in result.variants for note in variant.metrics.notes)
    below = "".join(f'<p class="note">{_text(note)}</p>' for note in notes)
    caption = '<p class="note">Percent; below each value its 95 % bootstrap interval over images.</p>'
    shown = _grid([(name, kind, cells) for (name, kind, _), cells in zip(changes, values, strict=True)], _value)
    return shown + caption + below + _difference(changes)


def _changes(result: CategoryResult) -> list[Row]:
    """What every variant has more than the first."""
    return [
        (
            each.name + (" (control)" if each.control else ""),
            "control" * each.control,
            [each.differences.get(name, (None, None)) for name in METRICS],
        )
        for each in result.variants
    ]


def _difference(rows: Sequence[Row]) -> str:
    """What every variant has more than the first; the draws are shared, so the difference is paired."""
    title = f"<h3>Difference to {_text(rows[0][0])}</h3>"
    caption = '<p class="note">Bold where the 95 % interval of the difference excludes zero.</p>'
    return title + _grid(rows[1:], _change) + caption


def _verdicts(rows: Sequence[Row]) -> str:
    """What is better than the first and what is worse, for those who read no tables."""
    said = "".join(f"<li>{_text(in_words(rows[0][0], name, cells))}</li>" for name, _, cells in rows[1:])
    return f"<ul>{said}</ul>" if said else ""


def _grid(rows: Sequence[Row], cell: Callable[[float | None, Interval | None], str]) -> str:
    head = "".join(f"<th>{metric_name(name)}</th>" for name in METRICS)
    body = ""
    for name, kind, cells in rows:
        line = "".join(f"<td>{cell(*each)}</td>" for each in cells)
        body += f'<tr class="{kind}"><td>{_text(name)}</td>{line}</tr>'
    return f'<div class="scroll"><table><tr><th>variant</th>{head}</tr>{body}</table></div>'


def _value(value: float | None, found: Interval | None) -> str:
    return f"{fraction(value)}<small>{between(found)}</small>"


def _change(value: float | None, found: Interval | None) -> str:
    if value is None:
        return fraction(None)
    words = fraction(value, signed=True)
    shown = f"<b>{words}</b>" if is_certain(value, found) else words
    return f"{shown}<small>{between(found, signed=True)}</small>"


def _plots(result: CategoryResult, images: Path) -> str:
    labels = np.array([sample.defective for sample in result.images], dtype=bool)
    if labels.all() or not labels.any():
        curves: list[Curve] = []
    else:
        curves = [trace(rank_labels(np.array(variant.scores), labels)) for variant in result.variants]
    paths = sorted(images.glob("*.npz"))
    found = [gather(paths, index) for index in range(len(result.variants))]
    pixels = [trace(rank_histogram(each)) for each in found if each is not None and each.positives.any()]
    plots = [
        ("image ROC", "false positive rate", "true positive rate", [roc_line(curve) for curve in curves]),
        ("image precision-recall", "recall", "precision", [pr_line(curve) for curve in curves]),
        ("pixel precision-recall", "recall", "precision", [pr_line(curve) for curve in pixels]),
        ("PRO (pixel overlap by region)", "false positive rate", "overlap", [pro_line(curve) for curve in pixels]),
    ]
    names = [variant.name for variant in result.variants]
    drawn = "".join(_plot(title, x, y, lines) for title, x, y, lines in plots if lines)
    key = " ".join(f'<span style="color:{_colour(i)}">&#9632; {_text(name)}</span>' for i, name in enumerate(names))
    return f'<p>{key}</p><div class="plots">{drawn}</div>'


def _plot(title: str, x: str, y: str, lines: Sequence[Line]) -> str:
    """An SVG of 260 x 260 with both axes from 0 to 1."""
    paths = []
    for index, line in enumerate(lines):
        kept = np.unique(np.linspace(0, len(line.x) - 1, 250).astype(int))
        points = " ".join(
            f"{30 + 220 * a:.1f},{230 - 220 * b:.1f}" for a, b in zip(line.x[kept], line.y[kept], strict=True)
        )
        paths.append(f'<polyline fill="none" stroke="{_colour(index)}" stroke-width="1.5" points="{points}"/>')
    frame = '<rect x="30" y="10" width="220" height="220" fill="none" stroke="#dadce0"/>'
    words = (
        f'<text x="140" y="252" text-anchor="middle">{x}</text>'
        f'<text x="14" y="120" text-anchor="middle" transform="rotate(-90 14 120)">{y}</text>'
        '<text x="26" y="242" text-anchor="end">0</text><text x="26" y="16" text-anchor="end">1</text>'
        '<text x="250" y="242" text-anchor="end">1</text>'
    )
    drawn = f"{frame}{''.join(paths)}{words}"
    svg = f'<svg width="260" height="260" font-size="11" role="img" aria-label="{title}">{drawn}</svg>'
    return f"<figure><b>{title}</b><br>{svg}</figure>"


def _bars(contributions: Sequence[Contribution]) -> str:
    """A bar a description, best first, with its interval as a thin line; grey where there is no evidence."""
    ordered = sorted(contributions, key=lambda each: -(each.pixel_ap_delta or 0))
    ends = [abs(value) for each in ordered for value in (each.pixel_ap_delta or 0, *(each.pixel_ap_interval or ()))]
    scale = 150 / max([*ends, 1e-9])
    rows = []
    for index, each in enumerate(ordered):
        y, delta = 22 * index, each.pixel_ap_delta or 0
        colour = {"helps": "#188038", "hurts": "#c5221f"}.get(each.verdict, "#9aa0a6")
        start, width = 460 + min(delta * scale, 0), max(abs(delta) * scale, 1)
        rows.append(f'<text x="300" y="{y + 15}" text-anchor="end">{_text(each.text[:48])}</text>')
        rows.append(f'<rect x="{start:.1f}" y="{y + 4}" width="{width:.1f}" height="14" fill="{colour}"/>')
        if each.pixel_ap_interval:
            low, high = (460 + value * scale for value in each.pixel_ap_interval)
            rows.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + 11}" y2="{y + 11}" stroke="#202124"/>')
        image = "" if each.image_auroc_delta is None else f" / {fraction(each.image_auroc_delta, signed=True)}"
        label = f"{fraction(delta, signed=True)}{image} {each.verdict}"
        rows.append(f'<text x="640" y="{y + 15}">{label}</text>')
    axis = f'<line x1="460" x2="460" y1="0" y2="{22 * len(ordered)}" stroke="#dadce0"/>'
    height = 22 * len(ordered) + 4
    return f'<div class="scroll"><svg width="780" height="{height}" font-size="12">{axis}{"".join(rows)}</svg></div>'


def _misses(result: CategoryResult) -> str:
    """Defective images with the lowest and good images with the highest score of the first version."""
    scored = sorted(zip(result.variants[0].scores, result.images, strict=True), key=lambda pair: pair[0])
    missed = [pair for pair in scored if pair[1].defective][:MISSES]
    alarmed = [pair for pair in reversed(scored) if not pair[1].defective][:MISSES]
    name = _text(result.variants[0].name)
    return "".join(
        f'<h3>{title} ({name})</h3><div class="misses">{"".join(_picture(*pair) for pair in pairs)}</div>'
        for title, pairs in (
            ("Defects with the lowest scores, outlined in red as the masks say", missed),
            ("Good images with the highest scores", alarmed),
        )
        if pairs
    )


def _picture(score: float, sample: Sample) -> str:
    """A small picture; what the mask calls defective has a red outline."""
    try:
        image = load_image(sample.image, 512)
        mask = None if sample.mask is None else read_mask(sample.mask, image_size(sample.image))
    except ImageError:
        return ""
    image.thumbnail((170, 170), Image.Resampling.LANCZOS)
    if mask is not None:
        image = _outlined(image, mask)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    data = base64.b64encode(stream.getvalue()).decode()
    words = f"{score:.3f} {_text(sample.defect)}/{_text(sample.image.name)}"
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt="{words}"><figcaption>{words}</figcaption></figure>'


def _outlined(image: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
    """The picture with a line around the mask, which is brought to its size so that no thin part of it is lost."""
    sides = zip(mask.shape, image.size[::-1], strict=True)
    rows, columns = (np.arange(small) * large // small for large, small in sides)
    small = np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), columns, axis=1)
    edge = ndimage.binary_dilation(small, iterations=2) & ~small
    drawn = np.array(image.convert("RGB"))
    drawn[edge] = (217, 48, 37)
    return Image.fromarray(drawn)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _text(value: str) -> str:
    return escape(printable(encodable(value)))  # a file name may be no UTF-8
