"""What the templates show, as plain values."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from descriptions.common.tokens import unread_words
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.lint import Finding
from detector.data.marks import Marks
from detector.evaluate.bootstrap import LEVEL, draw_images, over_images
from detector.metrics.compute import image_metrics
from detector.scoring.threshold import Threshold
from detector.serve.page.album import Photo
from detector.serve.page.draft import Draft
from detector.serve.page.gallery import Shown, State
from detector.serve.page.marks import content

DRAWS = 1000
"""Draws of the bootstrap behind an interval."""
STRIP = (1000, 130)
"""Width and height of the strip of scores, in its own units."""
DOT = 13
"""Room of a dot on the strip."""


class Phrase(NamedTuple):
    """One phrase, as a row."""

    entry: Anomaly
    words: list[tuple[str, bool]]
    """Pieces of the text, and whether the model reads a blank for each."""
    findings: list[Finding]
    changed: bool


class Card(NamedTuple):
    """One photo of the gallery."""

    photo: Photo
    shown: Shown | None
    failure: str
    change: float | None
    """Of the score since the saved version."""
    verdict: str | None
    mark: str | None
    """What a person said of it."""
    bad: bool | None
    """What is known of it: by a person, else by the data set."""


class Auroc(NamedTuple):
    """How well scores tell good from defective."""

    value: float
    low: float
    high: float
    good: int
    defective: int


class Dot(NamedTuple):
    """One photo on the strip of scores."""

    x: float
    y: float
    card: Card


def phrases(draft: Draft, findings: Sequence[Finding], known: frozenset[int] | None) -> list[Phrase]:
    """The rows of all phrases."""
    said: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        said[finding.entry].append(finding)
    return [
        Phrase(entry, pieces(entry.text, known), said[entry.id], draft.changed(entry))
        for entry in draft.description.anomalies
    ]


def pieces(text: str, known: frozenset[int] | None) -> list[tuple[str, bool]]:
    """A text in pieces, those apart that the model reads blanks for."""
    unread = unread_words(text, known)
    if not unread:
        return [(text, False)]
    pattern = re.compile("(" + "|".join(rf"\b{re.escape(word)}\b" for word in unread) + ")", re.IGNORECASE)
    return [(piece, bool(pattern.fullmatch(piece))) for piece in pattern.split(text) if piece]


def cards(
    photos: Sequence[Photo], state: State, base: State, marks: Marks, threshold: Threshold | None, sort: str
) -> list[Card]:
    """The photos with what is said of them, in order."""
    made = [_card(photo, state, base, marks, threshold) for photo in photos]
    if sort == "name":
        return made
    if sort == "change":
        return sorted(made, key=lambda card: -abs(card.change or 0))
    return sorted(made, key=lambda card: -card.shown.score if card.shown else np.inf)


def _card(photo: Photo, state: State, base: State, marks: Marks, threshold: Threshold | None) -> Card:
    now, before = state.get(photo.key), base.get(photo.key)
    shown = now if isinstance(now, Shown) else None
    change = shown.score - before.score if shown and isinstance(before, Shown) else None
    verdict = threshold.verdict(shown.score) if shown and threshold else None
    try:
        mark = marks.photos.get(content(photo)) if marks.photos else None
    except OSError:  # it went away meanwhile
        mark = None
    bad = mark == "defective" if mark else photo.defective
    return Card(photo, shown, now if isinstance(now, str) else "", change, verdict, mark, bad)


def auroc(shown: Sequence[Card]) -> Auroc | None:
    """Image AUROC over the photos that something is known of; None until there are both kinds."""
    known = [card for card in shown if card.shown is not None and card.bad is not None]
    labels = np.array([bool(card.bad) for card in known], dtype=bool)
    if not labels.any() or labels.all():
        return None
    scores = np.array([card.shown.score for card in known if card.shown], dtype=np.float64)
    value = image_metrics(scores, labels).values["image_auroc"] or 0.0
    drawn = over_images(scores, labels, draw_images(labels, DRAWS), ["image_auroc"])[:, 0]
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Auroc(value, float(low), float(high), int((~labels).sum()), int(labels.sum()))


def strip(shown: Sequence[Card]) -> dict[str, Any]:
    """Where the dots of all scores stand; dots that would cover each other are piled up."""
    scored = sorted((card for card in shown if card.shown), key=lambda card: card.shown.score if card.shown else 0)
    scores = [card.shown.score for card in scored if card.shown]
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    margin = max((high - low) * 0.04, 0.005)
    low, high = low - margin, high + margin
    width, height = STRIP
    piles: dict[int, int] = defaultdict(int)
    dots = []
    for card, score in zip(scored, scores, strict=True):
        x = (score - low) / (high - low) * width
        column = int(x // DOT)
        dots.append(Dot(round((column + 0.5) * DOT, 1), round(height - 26 - piles[column] * DOT, 1), card))
        piles[column] += 1
    tall = max([0, *piles.values()])
    top = height - 26 - max(tall, 2) * DOT
    ticks = [{"x": round(width * share, 1), "value": low + share * (high - low)} for share in (0.05, 0.35, 0.65, 0.95)]
    return {"dots": dots, "low": low, "high": high, "width": width, "height": height, "top": top, "ticks": ticks}


def changes(before: DescriptionFile, after: DescriptionFile) -> dict[str, str]:
    """How each phrase of two versions differs, by its text: only in one of them, switched, or the same."""
    first = {entry.text: entry.enabled for entry in before.anomalies}
    second = {entry.text: entry.enabled for entry in after.anomalies}
    kinds = {}
    for text in dict.fromkeys([*first, *second]):
        pair = first.get(text), second.get(text)
        kinds[text] = (
            "added" if pair[0] is None else "removed" if pair[1] is None
            else "same" if pair[0] == pair[1] else "switched on" if pair[1] else "switched off"
        )  # fmt: skip
    return kinds
