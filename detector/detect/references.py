"""A photo scored with words and beside good reference photos: one map, one score, both in deviations from good.

    scorer = ReferenceScorer(predictor, prompts, ["good/1.jpg", ...], category="capsule")
    detection = scorer.rescored(detection)

The words are not replaced: their map is part of the sum, and they name what is found.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from detector.context.bank import Bank, BankError
from detector.context.calibration import Scale, promise, threshold, top_mean
from detector.context.fusion import fuse, on_grid, on_picture
from detector.context.info import Reference
from detector.context.tokens import ContextReader, Levels, photo_hash, read_photo
from detector.detect.detection import Detection
from detector.detect.naming import Namer
from detector.images.load import ImageError
from detector.localize.boxes import Localisation
from detector.scoring.predict import peak
from detector.scoring.predictor import Ask, Predictor
from detector.scoring.prompts import PromptSet
from detector.scoring.threshold import Threshold

ImageScore = Literal["context", "filo"]
"""The score of a photo beside others: of the map in deviations from good, or FiLo's own, by words alone."""
HALF = 6.0
"""Deviations from good that a map shows as 0.5; a good patch rarely reaches it."""
FOREIGN_NOTE = (
    "lies far from all references even where nothing is wrong: another product, camera or light; its score means little"
)
"""On a photo that looks like another product."""
OWN_NOTE = "is a reference itself: compared with the others only"
"""On a photo that is left out of its own comparison."""


class ReferenceScorer:
    """Good photos of one product, read once, and the scale they give.

    Args:
        predictor: reads the words on every photo, reference or not.
        prompts: of the description version.
        photos: paths of good photos, or a bank of them; the words are read on the photos themselves.
        category: product.
        rotations: directions that each photo is turned to; a bank has its own.
        image_score: what the score of a photo is; see `ImageScore`.

    Raises:
        BankError: no usable photo, a bank of another model or product, or a photo of it that is not where it was.
    """

    def __init__(
        self,
        predictor: Predictor,
        prompts: PromptSet,
        photos: "Sequence[Any] | Bank",
        category: str = "",
        rotations: int = 1,
        image_score: ImageScore = "context",
    ) -> None:
        self.predictor, self.prompts, self.image_score = predictor, prompts, image_score
        if isinstance(photos, Bank):
            photos.require(predictor.model, category)
            self.bank = photos
        else:
            self.bank = Bank.from_images(
                predictor.model, photos, category=category, rotations=rotations, cache=predictor.cache,
                load=predictor.load,
            )  # fmt: skip
        self.reader = ContextReader(predictor.model, predictor.cache, self.bank.info.size)
        side = math.isqrt(self.bank.maps.shape[1])
        self.grid = (side, side)
        pictures = [self.picture(reference) for reference in self.bank.info.references]
        predictions = [predictor.predict([picture], [Ask(prompts, detail=True)])[0][0] for picture in pictures]
        words = [self._words(each.anomaly_map.numpy()) for each in predictions]
        self.namer = Namer(prompts, [each.phrases.numpy() for each in predictions if each.phrases is not None])
        self.words_scale = Scale.of(np.stack(words))
        self.good = [each.score for each in predictions]
        """Score of every reference, against the others where those count."""
        if image_score == "context":
            both = zip(words, self.bank.maps, strict=True)
            self.good = [top_mean(self._fused(map_of_words, distances)) for map_of_words, distances in both]

    def picture(self, reference: Reference) -> Image.Image:
        """A reference as it is scored.

        Raises:
            BankError: it is not where it was, or another photo is there.
        """
        hint = "put it back, or type detector references remove"
        try:
            picture = self.predictor.load(self.bank.pictures.get(reference.content, reference.name))
            whole = photo_hash(picture) == reference.content or photo_hash(read_photo(reference.name))
        except ImageError as error:
            raise BankError(f"the reference {reference.name} cannot be read: {error}", hint=hint) from error
        if whole not in (True, reference.content):  # as read here, or as `references build` reads it
            raise BankError(f"{reference.name} is another photo than when the references were built", hint=hint)
        return picture

    def _words(self, anomaly_map: Float[np.ndarray, "height width"]) -> Float[np.ndarray, " patches"]:
        return on_grid(anomaly_map, self.grid)

    def _fused(
        self, words: Float[np.ndarray, " patches"], distances: Float[np.ndarray, " patches"]
    ) -> Float[np.ndarray, " patches"]:
        fused: Float[np.ndarray, " patches"] = fuse(words, distances, self.words_scale, self.bank.scale)
        return fused

    def rescored(self, detection: Detection) -> Detection:
        """A detection by words, with the references taken into account.

        See `placed`. Its descriptions are put in order by `Namer` where the detection has its phrases.
        A photo that is a reference is not compared with itself. Notes say so, and where it looks like another product.
        """
        tokens = self.reader.read([detection.image])[0]
        return self.beside(detection, *self.far(tokens, photo_hash(detection.image)))

    def beside(
        self, detection: Detection, distances: Float[np.ndarray, " patches"], notes: Sequence[str] = ()
    ) -> Detection:
        """As `rescored`, of a photo whose distances are known: see `far`."""
        fused = self._fused(self._words(detection.map), distances)
        return placed(detection.with_notes(*notes), fused, self.grid, self.namer, self.image_score)

    def far(self, tokens: Levels, content: str) -> tuple[Float[np.ndarray, " patches"], list[str]]:
        """Distances of a photo of this content hash, and what is to be said of them."""
        distances, own = self.bank.distances(tokens, content)
        foreign = self.bank.is_foreign(distances)
        return distances, [OWN_NOTE] * own + [FOREIGN_NOTE] * foreign

    def threshold(
        self, false_alarms: float, maps: "Sequence[Float[np.ndarray, ' patches']] | None" = None
    ) -> Threshold:
        """The score that at most a share of good photos to come exceeds.

        Args:
            false_alarms: the share.
            maps: of the references, where they are scored another way than against each other alone.

        Raises:
            FalseAlarmError: fewer references than that rate asks for.
        """
        scores = self.good if maps is None or self.image_score == "filo" else [top_mean(each) for each in maps]
        good = [] if self.bank.info.by_itself else scores
        value = threshold(good, false_alarms)
        promised = "that " + promise(good, false_alarms).partition(": ")[2]
        return Threshold(float(np.nextafter(value, np.inf)), "references", promised, len(good))


def placed(
    detection: Detection,
    fused: Float[np.ndarray, " patches"],
    grid: tuple[int, int],
    namer: Namer,
    image_score: ImageScore = "context",
) -> Detection:
    """A detection with the score, map, box and region of a map in deviations from good.

    The score is the mean of the highest 1 % of patches, or with `filo` stays what the words said. The map is squashed
    into [0, 1], alike in every photo.
    """
    anomaly_map = squashed(on_picture(fused, grid, (detection.map.shape[0], detection.map.shape[1])))
    place: Localisation = peak(torch.from_numpy(anomaly_map))
    named = namer.named(detection, fused, grid)
    score = top_mean(fused) if image_score == "context" else detection.score
    return detection._replace(score=score, map=anomaly_map, boxes=place.boxes, region=place.region, matches=named)


def squashed(deviations: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Deviations from good in [0, 1): 0 where a patch is no worse than the mean of good ones, 0.5 at `HALF`."""
    above = np.clip(deviations, 0, None)
    anomaly_map: Float[np.ndarray, "height width"] = (above / (above + HALF)).astype(np.float32)
    return anomaly_map
