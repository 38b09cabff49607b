"""Scores and maps of an album under any words, from features that were computed once.

Scores are those of `detector detect`, with `--references` where the server has some of the product: the same functions
run on the same features, one photo at a time.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from descriptions.common.errors import ForgeError
from descriptions.format.schema import DescriptionFile
from detector.detect.detection import Detection
from detector.detect.detector import Detector
from detector.detect.overlay import resized
from detector.localize.boxes import Box
from detector.scoring.feature_cache import FeatureCache
from detector.scoring.map_scale import MapScale, MapSummary, run_scale, summarise
from detector.scoring.predict import Encoded, Match, Prediction, predict
from detector.scoring.prompts import PromptSet
from detector.scoring.text_reader import TextReader
from detector.serve.page.album import Photo
from detector.serve.page.beside import Beside

SHOWN = 320
"""Side of a map that is kept to be shown."""
KEPT_STATES = 256 * 2**20
"""Bytes of maps that are kept."""
KEPT_FEATURES = 2**30
"""Bytes of features that are kept in memory; the others are read from the cache on disk."""


class Shown(NamedTuple):
    """What is said of one photo under some words."""

    score: float
    map: Float[np.ndarray, "height width"]
    """At most `SHOWN` pixels a side, half precision."""
    summary: MapSummary
    boxes: tuple[Box, ...]
    region: str | None
    matches: tuple[Match, ...]


State = dict[str, Shown | str]
"""By key of the photo; the reason where a photo cannot be used."""


def state_key(description: DescriptionFile) -> str:
    """Names the words in addresses."""
    ids = [entry.id for entry in description.anomalies if entry.enabled]
    return hashlib.sha256(f"{description.content_hash} {ids}".encode()).hexdigest()[:16]


class Gallery:
    """Features and states of photos. All methods that score run on the model's thread.

    Args:
        detector: whose model and settings score.
        cache: of features on disk.
        references: by product, where good photos of it lie.
    """

    def __init__(
        self, detector: Detector, cache: FeatureCache | None, references: Callable[[str], Path | None] = lambda _: None
    ) -> None:
        self.detector, self._references = detector, references
        self.predictor = copy(detector.predictor)
        self.predictor.cache = cache
        self._features: dict[str, Encoded | str] = {}
        self._bytes = 0
        self._states: OrderedDict[str, State] = OrderedDict()
        self._reader: TextReader | None = None
        self._beside: dict[str, Beside | None] = {}

    def beside(self, category: str) -> Beside | None:
        """The good photos that a product's album is compared with; None without any."""
        if category not in self._beside:
            path = self._references(category)
            self._beside[category] = Beside(self.predictor, path, category) if path is not None else None
        return self._beside[category]

    def state(self, key: str) -> State:
        """What was scored so far under some words."""
        if key in self._states:
            self._states.move_to_end(key)
        return self._states.setdefault(key, {})

    def missing(self, description: DescriptionFile, photos: Sequence[Photo]) -> list[Photo]:
        """Photos that are not scored under these words yet."""
        state = self.state(state_key(description))
        return [photo for photo in photos if photo.key not in state]

    def unseen(self, photos: Sequence[Photo]) -> int:
        """Photos whose features have to be computed or read first, which takes longer."""
        return sum(photo.key not in self._features for photo in photos)

    @torch.inference_mode()
    def score(self, description: DescriptionFile, photos: Sequence[Photo]) -> None:
        """Score photos under some words and keep what is said of them."""
        key, prompts = state_key(description), self.detector.prompts(description)
        state, beside = self.state(key), self.beside(description.category)
        for photo in photos:
            try:
                one = self._predicted(photo, prompts, detail=beside is not None)
                state[photo.key] = _shown(one, beside.detection(key, prompts, photo, one) if beside else None)
            except ForgeError as error:
                state[photo.key] = str(error)
        self._forget()

    @torch.inference_mode()
    def phrases(self, description: DescriptionFile, photo: Photo) -> Float[np.ndarray, "rows columns phrases"]:
        """Cosine of every patch with every enabled phrase, as a grid."""
        cosines = self._predicted(photo, self.detector.prompts(description), detail=True).phrases
        assert cosines is not None
        side = round(len(cosines) ** 0.5)
        grid: Float[np.ndarray, "rows columns phrases"] = cosines.numpy().reshape(side, side, -1)
        return grid

    def scale(self, key: str, photos: Sequence[Photo]) -> MapScale:
        """The colours of all maps: those of the words that the key names."""
        shown = [each for photo in photos if isinstance(each := self.state(key).get(photo.key), Shown)]
        return run_scale([each.summary for each in shown], [None] * len(shown))

    def without(self, description: DescriptionFile, photos: Sequence[Photo], index: int) -> list[float]:
        """Scores of photos with one phrase left out; see `detector eval` for the same of a data set."""
        entries = [entry for entry in description.anomalies if entry.enabled]
        rest = tuple(entry for entry in description.anomalies if entry.id != entries[index].id)
        fewer = description.revised(anomalies=rest)
        self.score(fewer, self.missing(fewer, photos))
        state = self.state(state_key(fewer))
        return [each.score if isinstance(each := state[photo.key], Shown) else float("nan") for photo in photos]

    def _predicted(self, photo: Photo, prompts: PromptSet, *, detail: bool) -> Prediction:
        encoded = self._encoded(photo)
        predictor = self.predictor
        places = None
        if predictor.settings.localizer == "grounding-dino" and predictor.localizer is not None:
            texts = [entry.text for entry in prompts.anomalies]
            places = predictor.localizer.locate([predictor.load(photo.path)], texts)
        self._reader = TextReader(predictor.model, encoded.embedding, self._reader)
        (one,) = predict(predictor.model, encoded, prompts, predictor.settings, places, self._reader, detail)
        return one

    def _encoded(self, photo: Photo) -> Encoded:
        known = self._features.get(photo.key)
        if known is None:
            try:
                known = self.predictor.encode([self.predictor.load(photo.path)])
            except ForgeError as error:
                known = str(error)
            size = 0 if isinstance(known, str) else sum(each.nbytes for each in (known.embedding, *known.patches))
            if self._bytes + size <= KEPT_FEATURES:
                self._features[photo.key] = known
                self._bytes += size
        if isinstance(known, str):
            raise _UnusableError(known)
        return known

    def _forget(self) -> None:
        while len(self._states) > 2 and sum(map(_size, self._states.values())) > KEPT_STATES:
            self._states.popitem(last=False)


class _UnusableError(ForgeError):
    """A photo that could not be read."""


def _size(state: State) -> int:
    return sum(each.map.nbytes for each in state.values() if isinstance(each, Shown))


def _shown(one: Prediction, beside: Detection | None) -> Shown:
    said: Prediction | Detection = beside or one
    anomaly_map = one.anomaly_map.numpy() if beside is None else beside.map
    small = anomaly_map if max(anomaly_map.shape) <= SHOWN else resized(anomaly_map, (SHOWN, SHOWN))
    summary = summarise(anomaly_map, said.boxes)
    return Shown(said.score, small.astype(np.float16), summary, said.boxes, said.region, said.matches)
