"""The acceptance rules of the released model, quirks included (spec, B.1 items 16 to 19).

They are what the published checkpoints were evaluated with; `detector.localize.dino.select` holds the clean rules.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from detector.localize.boxes import Box, Localisation
from detector.localize.dino.caption import GENERAL_WORDS
from detector.localize.regions import RELEASED_SIZE, Region, released_region_at

TEXT_THRESHOLD = BOX_THRESHOLD = 0.25
AREA_THRESHOLD = 0.7
LAST_TOKEN = 255
"""Tokens from here on never enter a phrase; neither does the start token."""


class ReleasedBox(NamedTuple):
    """One box as the released rules leave it."""

    phrase: str
    """Decoded tokens."""
    score: str
    """First four characters of the probability: truncated, not rounded."""
    matched: bool
    """Whether a general word or a description is a substring of the phrase; an unmatched box is never used."""
    rectangle: Float[Tensor, " 4"]
    """Matched: x0, y0, x1, y1 in pixels of a 518 square. Unmatched: the raw center form, in unit coordinates."""


class ReleasedGrounding(NamedTuple):
    """Everything the release derives from one image's grounding."""

    boxes: tuple[ReleasedBox, ...]
    center: tuple[float, float]
    """Center of the best matched box in pixels of a 518 square, or the middle of the image."""
    region: Region | None
    """None where the released table has a gap."""

    def localisation(self) -> Localisation:
        """The matched boxes as typed values, best first; of equal scores the last comes first."""
        matched = [box for box in reversed(self.boxes) if box.matched]
        ordered = sorted(matched, key=lambda box: -float(box.score))
        typed = (Box.at(_unit(box.rectangle), box.phrase, float(box.score)) for box in ordered)
        return Localisation(tuple(typed), self.region)


def _unit(rectangle: Tensor) -> list[float]:
    """Pixels to unit coordinates in double precision, so that times 518, rounded to fp32, is the pixel value again."""
    return [float(value) / RELEASED_SIZE for value in rectangle]


def released_grounding(
    logits: Float[Tensor, "queries tokens"],
    boxes: Float[Tensor, "queries 4"],
    decode: Callable[[list[int]], str],
    descriptions: Sequence[str],
) -> ReleasedGrounding:
    """Apply the released rules.

    Args:
        logits: raw token logits of one image.
        boxes: center form in unit coordinates.
        decode: positions in the caption's tokens to text.
        descriptions: texts verbatim; one with a capital letter never matches, phrases are lower case.
    """
    probabilities = logits.sigmoid()
    candidates = [
        _released_box(probabilities[index], boxes[index], decode, (*descriptions, *GENERAL_WORDS))
        for index in _kept(probabilities.amax(1), boxes)
    ]
    best = RELEASED_SIZE / 2, RELEASED_SIZE / 2
    highest = 0.0
    for box in candidates:
        if box.matched and float(box.score) >= highest:
            highest = float(box.score)
            best = _center(box.rectangle)
    return ReleasedGrounding(tuple(candidates), best, released_region_at(*best))


def _kept(scores: Float[Tensor, " queries"], boxes: Float[Tensor, "queries 4"]) -> list[int]:
    """Indices of boxes that pass; if none does, the surest one whatever its size and score."""
    passing = (scores > BOX_THRESHOLD) & (boxes[:, 2] * boxes[:, 3] < AREA_THRESHOLD)
    indices: list[int] = passing.nonzero().flatten().tolist()
    return indices or [int(scores.argmax())]


def _released_box(
    probabilities: Float[Tensor, " tokens"],
    box: Float[Tensor, " 4"],
    decode: Callable[[list[int]], str],
    words: Sequence[str],
) -> ReleasedBox:
    fired = (probabilities > TEXT_THRESHOLD).nonzero().flatten().tolist()
    phrase = decode([index for index in fired if 0 < index < LAST_TOKEN])
    matched = any(word in phrase for word in words)
    score = str(probabilities.max().item())[:4]
    return ReleasedBox(phrase, score, matched, _rectangle(box) if matched else box)


def _rectangle(box: Float[Tensor, " 4"]) -> Float[Tensor, " 4"]:
    scaled = box * RELEASED_SIZE
    corner = scaled[:2] - scaled[2:] / 2
    return torch.cat([corner, scaled[2:] + corner])


def _center(rectangle: Float[Tensor, " 4"]) -> tuple[float, float]:
    x, y = ((rectangle[:2] + rectangle[2:]) / 2).tolist()
    return x, y
