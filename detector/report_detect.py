"""One self-contained HTML page to look through: most abnormal images first, to filter and sort, pictures inside."""

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from descriptions.files import staged
from descriptions.terminal import printable
from detector import console
from detector.detect import Failure
from detector.detections import Row
from detector.report_page import CONTROLS, SCRIPT, STYLE

MAX_PICTURES = 300
"""Images shown; the rest is in the CSV and JSON beside the page."""

_COLOURS = {"anomalous": "#c5221f", "good": "#188038", "": "#5f6368"}


def write_html(path: Path, rows: Sequence[Row], failed: Sequence[Failure], about: dict[str, Any]) -> None:
    """Write the page.

    Args:
        path: target; pictures are looked up beside it, as the rows name them.
        rows: with verdicts.
        failed: listed before the images.
        about: shown at the top; `title` is the heading.
    """
    with staged(path) as part, part.open("w", encoding="utf-8") as stream:
        for piece in _page(path.parent, rows, failed, about):
            stream.write(piece)


def _page(folder: Path, rows: Sequence[Row], failed: Sequence[Failure], about: dict[str, Any]) -> Iterator[str]:
    title, threshold = _text(about.get("title", "Detections")), about.get("threshold")
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    abnormal = sum(row["verdict"] == "anomalous" for row in rows)
    judged = f"{abnormal} anomalous" if threshold is not None else "no verdicts (no threshold)"
    yield f"<p>{len(rows)} images, {judged}, {len(failed)} failed.</p>\n"
    for name, value in about.items():
        if name != "title" and value is not None:
            shown = f"{value:.4f}" if isinstance(value, float) else value
            yield f'<p class="note">{_text(name.replace("_", " "))}: {_text(shown)}</p>\n'
    if failed:
        lines = "".join(f"<p>failed: {_text(each.error)}</p>" for each in failed)
        yield f'<div class="failed">{lines}</div>\n'
    yield from _strip(rows, threshold)
    yield CONTROLS + "<main>\n"
    ordered = sorted(rows, key=lambda row: -row["score"])
    for row in ordered[:MAX_PICTURES]:
        yield from _article(folder, row)
    yield "</main>\n"
    if len(ordered) > MAX_PICTURES:
        yield f'<p class="note">{len(ordered) - MAX_PICTURES} more are in results.csv and results.json.</p>\n'
    yield SCRIPT + "</body></html>\n"


def _strip(rows: Sequence[Row], threshold: float | None) -> Iterator[str]:
    """Every score as a tick on one line, with the threshold: how clearly do good and anomalous images part?"""
    known = [row["score"] for row in rows] + ([] if threshold is None else [threshold])
    if len(rows) < 2:
        return
    low, span = min(known), max(max(known) - min(known), 1e-9)
    yield '<svg viewBox="0 0 1040 60" role="img" aria-label="scores of all images">'
    yield '<path stroke="#dadce0" d="M10 31H1030"/>'
    for row in rows:
        x, colour = 10 + 1020 * (row["score"] - low) / span, _COLOURS[row["verdict"] or ""]
        yield f'<path stroke="{colour}" stroke-opacity=".6" stroke-width="2" d="M{x:.1f} 22v18"/>'
    if threshold is not None:
        x = 10 + 1020 * (threshold - low) / span
        side = 'dx="4"' if x < 520 else 'dx="-4" text-anchor="end"'
        yield f'<path stroke="#202124" stroke-dasharray="3 2" d="M{x:.1f} 6v42"/>'
        yield f'<text x="{x:.1f}" y="14" {side}>threshold {threshold:.3f}</text>'
    yield f'<text x="10" y="57">{low:.3f}</text><text x="1030" y="57" text-anchor="end">{low + span:.3f}</text></svg>\n'


def _article(folder: Path, row: Row) -> Iterator[str]:
    verdict, path = row["verdict"] or "", _text(row["path"])
    badge = f' <b class="{verdict}">{verdict}</b>' if verdict else ""
    place = f" · {_text(row['region'])}" if row["region"] else ""
    yield f'<article class="{verdict}" data-score="{row["score"]}" data-path="{path}">'
    yield f"<h2>{path} — {row['score']:.3f}{badge}{place}</h2>\n"
    if row["heatmap"]:
        yield f'<img loading="lazy" alt="image and anomaly map" src="{_embedded(folder / row["heatmap"])}">\n'
    lines = "".join(
        f'<tr><td>{_text(each["text"])}</td><td class="n">{each["similarity"]:.3f}</td></tr>'
        for each in row["descriptions"][:3]
    )
    head = '<tr><th>nearest descriptions</th><th class="n">similarity</th></tr>' if lines else ""
    yield f"<table>{head}{lines}</table></article>\n"


def _embedded(path: Path) -> str:
    """The picture as a data URL, as JPEG; empty when it has gone."""
    buffer = io.BytesIO()
    try:
        with Image.open(path) as image:
            image.convert("RGB").save(buffer, "JPEG", quality=85)
    except OSError:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _text(value: object) -> str:
    return escape(printable(console.encodable(str(value))))
