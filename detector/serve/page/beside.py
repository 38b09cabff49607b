"""Good photos that an album is compared with, beside the words: distances are computed once, whatever the words are."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from detector.context.bank import Bank
from detector.context.storage import SUFFIX, load_bank
from detector.context.tokens import photo_hash
from detector.detect.detection import Detection
from detector.detect.references import ReferenceScorer
from detector.images.find import find_images
from detector.scoring.predict import Prediction
from detector.scoring.predictor import Predictor
from detector.scoring.prompts import PromptSet
from detector.serve.page.album import Photo

KEPT = 8
"""Words whose scale on the good photos is kept."""


class Beside:
    """The good photos of one product. All methods run on the model's thread.

    Args:
        predictor: reads photos; its cache keeps their features.
        path: a file of kept references, or a folder of good photos.
        category: product.

    Raises:
        BankError: references of another model or product, or no photo that can be used.
    """

    def __init__(self, predictor: Predictor, path: Path, category: str) -> None:
        self.predictor, self.category = predictor, category
        if path.name.endswith(SUFFIX):
            self.bank = load_bank(path)
            self.bank.require(predictor.model, category)
        else:
            photos = [str(file) for file in find_images([str(path)]).photos]
            self.bank = Bank.from_images(
                predictor.model, photos, category=category, cache=predictor.cache, load=predictor.load
            )
        self._scorers: OrderedDict[str, ReferenceScorer] = OrderedDict()
        self._far: dict[str, tuple[Float[np.ndarray, " patches"], list[str]]] = {}

    def detection(self, words: str, prompts: PromptSet, photo: Photo, one: Prediction) -> Detection:
        """What `detect --references` says of a photo.

        Args:
            words: names the prompts.
            prompts: of the description version.
            photo: that is looked at.
            one: what the words say of it, with its phrases.
        """
        scorer = self._scorer(words, prompts)
        if photo.key not in self._far:
            picture = self.predictor.load(photo.path)
            self._far[photo.key] = scorer.far(scorer.reader.read([picture])[0], photo_hash(picture))
        phrases = None if one.phrases is None else one.phrases.numpy()
        plain = Detection(
            str(photo.path), _NO_PICTURE, one.score, one.anomaly_map.numpy(), one.region, one.boxes, one.matches,
            phrases=phrases,
        )  # fmt: skip
        return scorer.beside(plain, *self._far[photo.key])

    def _scorer(self, words: str, prompts: PromptSet) -> ReferenceScorer:
        if words not in self._scorers:
            self._scorers[words] = ReferenceScorer(self.predictor, prompts, self.bank, self.category)
        self._scorers.move_to_end(words)
        while len(self._scorers) > KEPT:
            self._scorers.popitem(last=False)
        return self._scorers[words]


_NO_PICTURE = Image.new("RGB", (1, 1))
"""Of detections that are shown without their picture."""


def references_of(category: str, kept: dict[str, Path], sole: str | None) -> Path | None:
    """Which of the kept references are of a product: those named as it is, or the only ones of a server for it.

    Args:
        category: product.
        kept: references by their names.
        sole: product that the server was started for.
    """
    if category in kept:
        return kept[category]
    (only,) = kept.values() if len(kept) == 1 else (None,)
    return only if sole is not None and sole.partition("@")[0] == category else None
