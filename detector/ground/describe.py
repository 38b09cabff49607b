"""One to three sentences about a photo, made of facts that stand beside them: no model words them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from descriptions.format.schema import DescriptionFile
from detector.context.calibration import p_value, smallest_rate
from detector.context.fusion import PhraseScale, name_defect, on_grid
from detector.detect.asked import described
from detector.detect.detection import Detection
from detector.detect.detector import Detector
from detector.ground.areas import Area, area_masks, describe_area
from detector.ground.places import in_words, region_within
from detector.ground.product import WHOLE, product_box
from detector.localize.regions import Region

FALSE_ALARMS = 0.05
"""Share of good photos that may be called unusual; with fewer than 19, what they can promise."""
_WAYS = {
    "horizontal": "running across",
    "vertical": "running up and down",
    "rising": "rising to the right",
    "falling": "falling to the right",
}


class Fact(NamedTuple):
    """One area of the map, and the description that names it best."""

    text: str
    """Of the description; empty where the version has none."""
    deviations: float
    """How far its similarity within the area lies above the rest of the photo, or above good photos."""
    area: Area
    share_of_product: float
    """Of the product's own box; of the photo where that is not known."""
    region: Region
    """Of the product's own box."""
    position: str
    """The region in words."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        numbers = {"deviations": round(self.deviations, 2), "share_of_product": round(self.share_of_product, 5)}
        return self._asdict() | numbers | {"area": self.area.to_dict()}


class Account(NamedTuple):
    """What is said of one photo."""

    text: str
    """One to three sentences."""
    unusual: bool | None
    """Whether the photo is unlike good ones; None without good photos."""
    score: float
    """As of `detect`."""
    facts: tuple[Fact, ...]
    """Behind the sentences, strongest area first."""
    notes: tuple[str, ...] = ()
    """What to know of the answer, one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "text": self.text,
            "unusual": self.unusual,
            "score": round(self.score, 6),
            "facts": [each.to_dict() for each in self.facts],
            "notes": list(self.notes),
        }


def describe(
    detector: Detector, image: Any, what: str | DescriptionFile, *, false_alarms: float = FALSE_ALARMS
) -> Account:
    """What a photo shows, by the descriptions of a version.

    Args:
        detector: its references, where it has some, say whether anything is unusual at all.
        image: as of `Detector.predict`.
        what: reference to a version, or a description file.
        false_alarms: share of good photos that may be called unusual.

    Raises:
        DetectorError: see `Detector.predict`.
    """
    description = described(detector.store, what)
    picture = detector.predictor.load(image)
    detector = detector.with_threshold(None)
    (plain,) = detector.with_references(None).stream([picture], description, detail=True)
    assert isinstance(plain, Detection)
    scorer = detector.beside_references(description)
    detection = scorer.rescored(plain) if scorer else plain
    facts = _facts(detection, picture, description, scorer.namer.scale if scorer else None)
    name, notes = description.object_name, detection.notes
    if scorer is None or scorer.bank.info.by_itself:
        return Account(_without_references(facts, name), None, detection.score, facts, notes)
    count = len(scorer.good)
    rate = max(false_alarms, smallest_rate(count))
    p = p_value(detection.score, scorer.good)
    unusual = p <= rate + 1e-9
    text = _beside_references(facts, name, round((1 - p) * (count + 1)), count, unusual=unusual)
    return Account(text, unusual, detection.score, facts if unusual else (), notes)


def _facts(
    detection: Detection, picture: Image.Image, description: DescriptionFile, good: PhraseScale | None
) -> tuple[Fact, ...]:
    frame, aspect = product_box(picture), picture.width / picture.height
    masks = area_masks(detection.map)
    texts = description.enabled_texts
    facts = []
    for mask in masks:
        text, deviations = _named(mask, masks, texts, detection.phrases, good)
        area = describe_area(mask, detection.map, aspect, text)
        region = region_within(area.box, frame)
        share = min(area.share / frame.area, 1.0)
        position = in_words(region, "photo" if frame is WHOLE else description.object_name)
        facts.append(Fact(text, deviations, area, share, region, position))
    return tuple(facts)


def _named(
    mask: Bool[np.ndarray, "height width"],
    masks: Sequence[Bool[np.ndarray, "height width"]],
    texts: Sequence[str],
    phrases: Float[np.ndarray, "patches descriptions"] | None,
    good: PhraseScale | None,
) -> tuple[str, float]:
    """The description that is most unusual within an area, beside good patches or those outside of all areas."""
    if phrases is None or not texts:
        return "", 0.0
    side = math.isqrt(len(phrases))
    covered = on_grid(mask.astype(np.float32), (side, side))
    if good is None:
        outside = phrases[on_grid(np.any(masks, axis=0).astype(np.float32), (side, side)) < 0.5]
        rest = outside if len(outside) > 1 else phrases
        good = PhraseScale(rest.mean(0), np.maximum(rest.std(0), 1e-6))
    best = name_defect(phrases, covered >= min(0.5, float(covered.max())), good)[0]
    return texts[best.phrase], best.deviations


def _without_references(facts: Sequence[Fact], name: str) -> str:
    if not facts:
        return f"No part of the {name} stands out. Whether that is good cannot be told from one photo."
    return (
        f"The map points at the {_where(facts[0])}{_nearest(facts[0])}.{_others(facts)}"
        " Whether this is a defect cannot be told without good photos."
    )


def _beside_references(facts: Sequence[Fact], name: str, below: int, count: int, *, unusual: bool) -> str:
    if not unusual:
        return f"Nothing unusual: {count - below} of {count} good photos of the {name} look at least as odd."
    rank = f"This photo is more unusual than {f'all {count}' if below >= count else f'{below} of {count}'} good photos."
    if not facts:
        return rank
    rest = "" if facts[1:] else " Nothing else is unusual."
    return f"{rank} It shows at the {_where(facts[0])}{_nearest(facts[0])}.{_others(facts)}{rest}"


def _where(fact: Fact) -> str:
    """Such as `upper left of the capsule, 3 % of it, a long area running across`."""
    of = "it" if not fact.position.endswith("photo") else "the photo"
    shape = f", a long area {_WAYS[fact.area.direction]}" if fact.area.direction else ""
    return f"{fact.position}, {_percent(fact.share_of_product)} of {of}{shape}"


def _nearest(fact: Fact) -> str:
    return f", nearest to \N{LEFT DOUBLE QUOTATION MARK}{fact.text}\N{RIGHT DOUBLE QUOTATION MARK}" if fact.text else ""


def _others(facts: Sequence[Fact]) -> str:
    places = list(dict.fromkeys(each.position for each in facts[1:] if each.position != facts[0].position))
    if not places:
        return ""
    return f" It also points at the {' and the '.join(places[:2])}."


def _percent(share: float) -> str:
    return "less than 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")
