"""Phrases on a photo: a map, boxes, a position in words, and, beside good photos, whether the phrase applies at all.

grounder = Grounder(Detector.from_pretrained("mini"), references=Bank.from_images(detector, good_photos))
for each in grounder.ground("photo.png", ["scratch on the cap", "the left pin"], object_name="capsule"):
    print(each.phrase, each.present, each.position, each.boxes)
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from detector.context.bank import Bank
from detector.context.calibration import p_value, smallest_rate
from detector.detect.asked import AskError, require_bank, require_whole
from detector.detect.detection import Detection
from detector.detect.detector import Detector
from detector.ground.areas import Area, area_masks, describe_area, plain_box
from detector.ground.phrases import Phrase
from detector.ground.places import in_words, region_within, side_of
from detector.ground.product import WHOLE, product_box
from detector.localize.boxes import Box
from detector.localize.regions import Region
from detector.model.filo import FiLo

FALSE_ALARMS = 0.05
"""Share of good photos on which a phrase may be called present; with fewer than 19, what they can promise."""
NOT_TOLD = "one photo alone does not tell whether the phrase applies: give good photos, or Grounding DINO"


class Grounding(NamedTuple):
    """Where a phrase applies in a photo."""

    phrase: str
    """As given."""
    kind: str
    """`defect` or `part`, as `Phrase` tells them apart."""
    present: bool | None
    """Whether it applies at all; None where nothing tells."""
    score: float | None
    """1 minus the share of good photos on which the phrase fires at least as strongly; None without good photos."""
    map: Float[np.ndarray, "height width"]
    """How strongly every part of the photo answers to the phrase, in [0, 1]; stretch it to the photo's size."""
    areas: tuple[Area, ...]
    """Of the map, the strongest first; where the phrase names a side, the one furthest to it."""
    boxes: tuple[Box, ...]
    """Of the areas, or of Grounding DINO, best first."""
    region: Region | None
    """Of the photo, that the first box lies in."""
    region_on_product: Region | None
    """Of the product's own box, or of the part's that the phrase names."""
    position: str
    """In words, such as `upper left of the cap`; empty where there is no box."""
    notes: tuple[str, ...] = ()
    """What to know of the answer, one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the map."""
        plain = self._asdict()
        del plain["map"]
        plain["boxes"] = [plain_box(box) for box in self.boxes]
        plain["areas"] = [each.to_dict() for each in self.areas]
        plain["score"] = None if self.score is None else round(self.score, 4)
        plain["notes"] = list(self.notes)
        return plain


class Grounder:
    """A detector that is asked phrase by phrase.

    Args:
        model: a `Detector`, whose options, localizer and references count, or any FiLo.
        references: good photos of the product, in place of the detector's own.
        false_alarms: share of good photos on which a phrase may be called present.

    Raises:
        AskError: references that are no `Bank`, together with windows, or a rate outside (0, 1).
        BankError: references of another model.
    """

    def __init__(
        self, model: Detector | FiLo, *, references: Bank | None = None, false_alarms: float = FALSE_ALARMS
    ) -> None:
        if not 0 < false_alarms < 1:
            raise AskError(f"false_alarms={false_alarms!r}", expected="more than 0 and less than 1")
        detector = model if isinstance(model, Detector) else Detector(model)
        if references is not None:
            require_bank(references, detector.model, detector.predictor.tile)
            detector = detector.with_references(references)
        require_whole("grounding", detector.predictor.tile)
        self.detector, self.false_alarms = detector.with_threshold(None), false_alarms

    def ground(
        self, image: Any, phrases: Sequence[str], *, object_name: str = "product", parts: Sequence[str] = ()
    ) -> list[Grounding]:
        """Where each phrase applies.

        Args:
            image: a path, PIL image, array [h, w] or [h, w, 3], or tensor [3, h, w].
            phrases: such as `scratch on the cap`, `the left pin`.
            object_name: the words that the model reads for the product.
            parts: further words that name parts of the product, beside those with `the` before them.

        Returns:
            One answer per phrase, in order.

        Raises:
            AskError: a single phrase in place of a list, or none.
            PhraseError: a phrase without words, or one that no description file takes.
            PromptTooLongError: a phrase that is too long for CLIP.
            ImageError: a photo that cannot be used.
            BankError: references of another product.
        """
        if isinstance(phrases, str) or not phrases:
            hint = f"write [{phrases!r}]" if phrases else ""
            raise AskError(f"phrases is {phrases!r}", expected="a list of at least one phrase", hint=hint)
        parsed = [Phrase.parse(each, tuple(parts)) for each in phrases]
        picture = self.detector.predictor.load(image)
        frame = product_box(picture)
        return [self._ground(picture, each, object_name, frame) for each in parsed]

    def _ground(self, picture: Image.Image, phrase: Phrase, object_name: str, frame: Box) -> Grounding:
        description = phrase.description(object_name)
        (detection,) = self.detector.predict([picture], description)
        aspect = picture.width / picture.height
        masks = area_masks(detection.map)
        areas = [describe_area(mask, detection.map, aspect, phrase.given) for mask in masks]
        if phrase.side is not None:
            areas = on_side(areas, phrase.side)
        dino = self.detector.predictor.settings.localizer == "grounding-dino"
        boxes = detection.boxes if dino else tuple(each.box for each in areas)
        name, within = self._frame(picture, phrase, object_name, frame)
        inner = region_within(boxes[0], within) if boxes else None
        present, score, notes = self._presence(detection, phrase, object_name, dino)
        if within is WHOLE and boxes:
            notes = (*notes, f"the {name} fills the photo or cannot be told from it: its position is that in the photo")
        return Grounding(
            phrase.given, phrase.kind, present, score, detection.map, tuple(areas), boxes,
            region_within(boxes[0], WHOLE) if boxes else None, inner, in_words(inner, name) if inner else "",
            detection.notes + notes,
        )  # fmt: skip

    def _frame(self, picture: Image.Image, phrase: Phrase, object_name: str, frame: Box) -> tuple[str, Box]:
        """What a position is relative to: the part that the phrase names, else the product."""
        if not phrase.on or phrase.on.lower() == object_name.lower():
            return object_name, frame
        part = self._ground(picture, Phrase.parse(f"the {phrase.on}"), object_name, frame)
        return (phrase.on, part.boxes[0]) if part.boxes else (object_name, frame)

    def _presence(
        self, detection: Detection, phrase: Phrase, object_name: str, dino: bool
    ) -> tuple[bool | None, float | None, tuple[str, ...]]:
        """Whether the phrase applies: by good photos, else by Grounding DINO, else by nothing."""
        if phrase.kind == "part" and not dino:
            return None, None, ("parts are on good photos too: only Grounding DINO tells whether one is there",)
        scorer = self.detector.beside_references(phrase.description(object_name))
        if scorer is None or scorer.bank.info.by_itself:
            return (bool(detection.boxes), None, ()) if dino else (None, None, (NOT_TOLD,))
        p = p_value(detection.score, scorer.good)
        rate = max(self.false_alarms, smallest_rate(len(scorer.good)))
        note = f"{len(scorer.good)} good photos promise no rate below {rate:.1%}" if rate > self.false_alarms else ""
        return p <= rate + 1e-9, 1 - p, (note,) if note else ()


def on_side(areas: list[Area], side: Region) -> list[Area]:
    """Areas with the one furthest to a side first; the phrase tells several things of a kind apart by it."""
    column, row = side_of(side)

    def off(area: Area) -> float:
        x, y = area.box.center
        return abs(x - column / 2) * (column != 1 or side == "center") + abs(y - row / 2) * (
            row != 1 or side == "center"
        )

    return sorted(areas, key=off)
