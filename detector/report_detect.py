"""One self-contained HTML page to look through: most abnormal images first, pictures inside the file."""

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from descriptions.files import staged
from descriptions.terminal import printable
from detector.detect import Failure
from detector.detections import Row

MAX_PICTURES = 300
"""Images shown; the rest is in the CSV and JSON beside the page."""

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1060px;padding:1.5rem;color:#202124;background:#fff}
h1{font-size:1.4rem;margin:0 0 .25rem}p{margin:.25rem 0}.note{color:#5f6368}
article{border:1px solid #dadce0;border-radius:8px;padding:.75rem 1rem;margin:1rem 0}
article h2{font-size:1rem;margin:0 0 .5rem;overflow-wrap:anywhere}img{max-width:100%;height:auto;display:block}
.anomalous{border-left:6px solid #c5221f}.good{border-left:6px solid #188038}
table{border-collapse:collapse;margin-top:.5rem}td{padding:.1rem .75rem .1rem 0}
td.n{text-align:right;font-variant-numeric:tabular-nums}
@media print{article{break-inside:avoid}}
"""


def write_html(path: Path, rows: Sequence[Row], failed: Sequence[Failure], about: dict[str, Any]) -> None:
    """Write the page.

    Args:
        path: target; pictures are looked up beside it, as the rows name them.
        rows: with verdicts.
        failed: listed at the end.
        about: shown at the top; `title` is the heading.
    """
    with staged(path) as part, part.open("w", encoding="utf-8") as stream:
        for piece in _page(path.parent, rows, failed, about):
            stream.write(piece)


def _page(folder: Path, rows: Sequence[Row], failed: Sequence[Failure], about: dict[str, Any]) -> Iterator[str]:
    title = _text(about.get("title", "Detections"))
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    for name, value in about.items():
        if name != "title" and value is not None:
            yield f'<p class="note">{_text(name)}: {_text(value)}</p>\n'
    ordered = sorted(rows, key=lambda row: -row["score"])
    abnormal = sum(row["verdict"] == "anomalous" for row in rows)
    yield f"<p>{len(rows)} images, {abnormal} anomalous, {len(failed)} failed; most abnormal first.</p>\n"
    for row in ordered[:MAX_PICTURES]:
        yield from _article(folder, row)
    if len(ordered) > MAX_PICTURES:
        yield f'<p class="note">{len(ordered) - MAX_PICTURES} more are in results.csv and results.json.</p>\n'
    for each in failed:
        yield f"<p>failed: {_text(each.error)}</p>\n"
    yield "</body></html>\n"


def _article(folder: Path, row: Row) -> Iterator[str]:
    verdict = row["verdict"] or ""
    label = " · ".join(filter(None, [f"{row['score']:.3f}", verdict, row["region"]]))
    yield f'<article class="{verdict}"><h2>{_text(row["path"])} — {_text(label)}</h2>\n'
    if row["heatmap"]:
        yield f'<img loading="lazy" alt="image and anomaly map" src="{_embedded(folder / row["heatmap"])}">\n'
    lines = "".join(
        f'<tr><td>{_text(each["text"])}</td><td class="n">{each["similarity"]:.3f}</td></tr>'
        for each in row["descriptions"][:3]
    )
    yield f"<table>{lines}</table></article>\n"


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
    return escape(printable(str(value)))
