"""The page of `detector detect`: a grid of photos to sort and filter, pictures as files beside it."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from detector.detect.detection import Failure, Row, nearness
from detector.report.charts import Strip, Tone, draw_strips
from detector.report.pages import facts, plain, write_page

PAGE_SIZE = 1000
"""Photos on one page of the grid."""
MATCHES = 3
"""Nearest descriptions shown per photo."""
CHOICES = 200
"""Folders, and nearest descriptions, that can be chosen from, the most frequent ones."""


class Match(NamedTuple):
    """A description near to a photo."""

    text: str
    nearness: str
    """Similarity, or deviations from good."""


class Card(NamedTuple):
    """One photo of the grid."""

    path: str
    name: str
    folder: str
    """Below the folder that all photos share; empty for that folder itself."""
    score: float
    shown_score: str
    verdict: str
    region: str
    picture: str
    """Address relative to the page; empty where there is no picture."""
    phrase: str
    """Nearest description."""
    matches: tuple[Match, ...]


def write_detections(path: Path, rows: Sequence[Row], failed: Sequence[Failure], about: Mapping[str, Any]) -> None:
    """Write the page.

    Pictures stay files and are addressed relative to the page, so that the folder of a run can be moved as a whole
    and a page over thousands of photos stays small.

    Args:
        path: of the page; pictures are looked up beside it, as the rows name them.
        rows: judged.
        failed: listed before the photos.
        about: shown at the top, as it comes; `title` is the heading, and `threshold` is drawn.

    Raises:
        OSError: the folder cannot be written to.
    """
    shared = _shared_folder([row["path"] for row in rows])
    cards = [_card(row, path.parent, shared) for row in sorted(rows, key=lambda row: (-row["score"], row["path"]))]
    threshold = about.get("threshold")
    values = {
        "title": about.get("title", "Detections"),
        "facts": facts(_told_once(about)),
        "cards": cards,
        "judged": any(card.verdict for card in cards),
        "anomalous": sum(card.verdict == "anomalous" for card in cards),
        "failed": [each.error for each in failed],
        "folders": _choices(card.folder for card in cards),
        "phrases": _choices(card.phrase for card in cards),
        "page_size": PAGE_SIZE,
        "strip": draw_strips(_strips(cards), threshold, name="scores") if len(cards) > 1 else "",
    }
    write_page(path, "detections.html", values)


def _told_once(about: Mapping[str, Any]) -> dict[str, Any]:
    """What goes above the photos: the title is the heading, and where a threshold comes from begins with its value."""
    facts = {name: value for name, value in about.items() if name not in ("title", "threshold_from")}
    origin = about.get("threshold_from")
    return facts if origin is None else {"threshold": origin} | facts | {"threshold": origin}


def _card(row: Row, folder: Path, shared: str) -> Card:
    picture = row["heatmap"] or ""
    matches = tuple(Match(plain(each["text"]), nearness(each)) for each in row["descriptions"][:MATCHES])
    inside = os.path.relpath(os.path.dirname(row["path"]) or ".", shared)  # noqa: PTH120 - pathlib drops "./"
    return Card(
        path=plain(row["path"]),
        name=plain(Path(row["path"]).name),
        folder="" if inside == "." else plain(inside),
        score=row["score"],
        shown_score=f"{row['score']:.3f}",
        verdict=row["verdict"] or "",
        region=row["region"] or "",
        picture=quote(os.fsencode(picture)) if picture and (folder / picture).is_file() else "",
        phrase=matches[0].text if matches else "",
        matches=matches,
    )


def _shared_folder(paths: Sequence[str]) -> str:
    """The folder that all photos are below; absolute where relative and absolute paths are mixed."""
    folders = [Path(path).parent for path in paths]
    if len({folder.is_absolute() for folder in folders}) > 1:
        folders = [folder.absolute() for folder in folders]
    return os.path.commonpath(folders) or "." if folders else "."


def _choices(values: Iterable[str]) -> list[tuple[str, int]]:
    """Values with how often each comes, the most frequent ones, by name; those that are empty cannot be chosen."""
    counted = Counter(value for value in values if value)
    return sorted(counted.most_common(CHOICES))


def _strips(cards: Sequence[Card]) -> list[Strip]:
    """One row of marks per verdict."""
    tones: tuple[tuple[str, Tone], ...] = (("anomalous", "anomalous"), ("good", "good"), ("", "plain"))
    return [
        Strip(verdict or "photos", tone, scores)
        for verdict, tone in tones
        if (scores := [card.score for card in cards if card.verdict == verdict])
    ]
