"""Photos in; scores, maps, boxes and reasons out.

detector = Detector.from_pretrained("mini")
for result in detector.predict(["a.jpg", "b.jpg"], "capsule"):
    print(result.score, result.region, result.matches[0].text)
"""

from collections.abc import Iterable, Iterator
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from jaxtyping import Float
from PIL import Image

from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector import defaults
from detector.context.bank import Bank
from detector.detect.asked import (
    ContextAsk,
    Hashed,
    Words,
    described,
    hashed,
    named_words,
    require_bank,
    require_photos,
)
from detector.detect.detection import Detection, Failure
from detector.detect.reading import read_ahead
from detector.detect.references import ReferenceScorer
from detector.images.load import ImageError, unremarkable
from detector.localize.base import Localizer
from detector.model.filo import FiLo
from detector.scoring.predict import Prediction
from detector.scoring.predictor import Ask, Options, Predictor
from detector.scoring.prompts import PromptSet, create_prompts
from detector.scoring.threshold import Threshold, ThresholdError


class DetectorOptions(Options, total=False):
    """Options of `Detector`: those of `Predictor` and its own."""

    store: Store | None
    workers: int
    threshold: Threshold | None
    references: Bank | None


class Detector:
    """A model, a library of descriptions and a localizer, ready for images.

    Args:
        model: any FiLo.
        store: descriptions; the rule of `Store.open` by default.
        workers: threads that read images.
        threshold: score from which an image is anomalous; without one, images get no verdict.
        references: good photos of one product, which photos are compared with beside the words.
        options: of `Predictor`: how to score, on which device, and how images are read.

    Raises:
        DetectorError: see `Predictor`.
        BankError: references of another model.
        AskError: references that are no `Bank`, or together with windows.
    """

    def __init__(
        self,
        model: FiLo,
        *,
        store: Store | None = None,
        workers: int = defaults.WORKERS,
        threshold: Threshold | None = None,
        references: Bank | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.predictor = Predictor(model, **options)
        self.model, self.device = self.predictor.model, self.predictor.device
        self.batch_size, self.workers = self.predictor.batch_size, max(workers, 1)
        self.store, self._threshold = store or Store.open(), threshold
        self._judged: DescriptionFile | None = None  # whose scores the threshold is for
        self.source: Path | None = None
        """File that the model was read from, where it is known."""
        self._prompts = lru_cache(maxsize=64)(self._create_prompts)
        self._refer_to(references)

    def _refer_to(self, references: Bank | None) -> None:
        if references is not None:
            require_bank(references, self.model, self.predictor.tile)
        self.references = references
        self._scorers = lru_cache(maxsize=32)(self._create_scorer)

    @property
    def threshold(self) -> Threshold | None:
        """Score from which an image is anomalous, or None; `with_threshold` makes a copy that has another."""
        return self._threshold

    @property
    def localizer(self) -> Localizer | None:
        """Who says where, besides the model itself."""
        return self.predictor.localizer

    @classmethod
    def from_pretrained(
        cls, preset: str | None = None, *, pretrained: str | Path | None = None, **options: Unpack[DetectorOptions]
    ) -> "Detector":
        """From a preset, `mini` by default; see the class for the options.

        Args:
            preset: name.
            pretrained: other CLIP weights, by open_clip tag or file, if the preset has none.
            options: of the class.

        Raises:
            PresetError: an unknown preset, with the nearest name.
            WeightsError: weights that cannot be fetched or do not fit.
        """
        from detector.weights.registry import WEIGHTS, load_model, resolve_preset

        detector = cls(load_model(preset, pretrained=pretrained), **options)
        detector.source = resolve_preset(preset) / WEIGHTS
        return detector

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, *, pretrained: str | Path | None = None, **options: Unpack[DetectorOptions]
    ) -> "Detector":
        """From a checkpoint; see the class for the options.

        Args:
            path: of the whole model, or of the trained parts.
            pretrained: CLIP weights, needed for the trained parts only.
            options: of the class.
        """
        from detector.weights.registry import load_model

        detector = cls(load_model(None, Path(path), pretrained), **options)
        detector.source = Path(path)
        return detector

    def with_threshold(self, threshold: Threshold | float | None) -> "Detector":
        """A copy that judges; model and caches are shared.

        A threshold holds for the model, the options and the words whose scores it was chosen from. The copy therefore
        judges photos by the first words that it is asked with, and refuses other words; `score` takes any.

        Args:
            threshold: score from which an image is anomalous; None for no verdicts.

        Raises:
            ThresholdError: neither a threshold nor a number.
        """
        other = copy(self)
        other._threshold = threshold if isinstance(threshold, Threshold | None) else Threshold.given(threshold)
        other._judged = None
        return other

    def with_references(self, references: Bank | None) -> "Detector":
        """A copy that compares photos with good ones, or no longer does; model and caches are shared.

        Args:
            references: `Bank.from_images(detector, good_photos)`; None for the words alone.

        Raises:
            BankError: references of another model.
            AskError: references that are no `Bank`, or together with windows.
        """
        other = copy(self)
        other._refer_to(references)
        return other

    def score(
        self, photos: Iterable[Any], what: Words, *, object_name: str | None = None, together: bool = False
    ) -> Float[np.ndarray, " photos"]:
        """Scores alone, in the order of the photos; higher is more abnormal. See `predict`."""
        unjudged = self.with_threshold(None)
        results = unjudged.predict(photos, what, object_name=object_name, together=together)
        return np.array([each.score for each in results], dtype=np.float64)

    def predict(
        self,
        photos: Iterable[Any],
        what: Words,
        *,
        object_name: str | None = None,
        together: bool = False,
        false_alarms: float | None = None,
    ) -> Iterator[Detection]:
        """Look at photos, one by one in order; memory does not grow with their number, but for `together`.

        Args:
            photos: paths, PIL images, arrays [h, w] or [h, w, 3], or tensors [3, h, w].
            what: a reference (`capsule`, `capsule@2`, `capsule@reviewed`), a description file, or phrases for once,
                such as `["thin crack", "dent"]`.
            object_name: the words that the model reads for the product, with phrases only.
            together: score the photos among each other as well; all are read before the first result.
            false_alarms: judge by a threshold from the references that at most this share of good photos exceeds, in
                place of the detector's own.

        Raises:
            FalseAlarmError: fewer references than that share takes.
            FewPhotosError: fewer than two different photos among each other.
            BankError: references of another product.
            AskError: photos or words of another kind; at once, as are all errors but the next.
            ImageError: a photo that cannot be used, when its turn comes. `stream` goes on behind such photos.
            DescriptionError: a reference to what is not there.
            PromptTooLongError: a phrase that is too long for CLIP.
            ThresholdError: other words than those that the threshold of this detector has judged by.
        """
        results = self.stream(
            require_photos(photos), what, object_name=object_name, together=together, false_alarms=false_alarms
        )
        return map(_or_raise, results)

    def stream(
        self,
        photos: Iterable[Any],
        what: Words,
        *,
        object_name: str | None = None,
        detail: bool = False,
        together: bool = False,
        false_alarms: float | None = None,
    ) -> Iterator[Detection | Failure]:
        """As `predict`, for any number of photos, with those that cannot be used as values.

        Args:
            photos: as of `predict`.
            what: as of `predict`.
            object_name: as of `predict`.
            detail: also say how near every patch is to every description.
            together: as of `predict`.
            false_alarms: as of `predict`.
        """
        description = described(self.store, what, object_name)
        self._require_judged_words(description)
        if self.references is None and not together and false_alarms is None:
            return self._stream(photos, self.prompts(description), detail)
        from detector.detect.in_context import stream_in_context

        return stream_in_context(self, photos, description, ContextAsk(together, false_alarms))

    def beside_references(self, description: DescriptionFile) -> ReferenceScorer | None:
        """What compares photos with the references, made once for each content; None without references.

        Raises:
            BankError: references of another product.
            ImageError: a reference that is not where it was.
        """
        scorer: ReferenceScorer | None = self._scorers(hashed(description)) if self.references else None
        return scorer

    def _create_scorer(self, words: Hashed) -> ReferenceScorer:
        assert self.references is not None
        prompts = self.prompts(words.description)
        return ReferenceScorer(self.predictor, prompts, self.references, words.description.category)

    def _stream(self, photos: Iterable[Any], prompts: PromptSet, detail: bool) -> Iterator[Detection | Failure]:
        for group in read_ahead(self.predictor, photos, self.workers, self.batch_size):
            pictures = [image for _, image in group if isinstance(image, Image.Image)]
            predictions = iter(self.predictor.predict(pictures, [Ask(prompts, detail=detail)]))
            for path, image in group:
                if isinstance(image, Image.Image):
                    yield _detection(path, image, next(predictions)[0], self.threshold)
                else:
                    yield Failure(path, image)

    def _require_judged_words(self, description: DescriptionFile) -> None:
        """A threshold chosen from the scores of some words says nothing about the scores of others."""
        if self._threshold is None:
            return
        judged = self._judged = self._judged or description
        if judged.content_hash != description.content_hash:
            both = f"{named_words(judged)}, not by {named_words(description)}"
            raise ThresholdError(
                f"the threshold {self._threshold.value:.4g} judges by {both}",
                expected="the same words, whose scores it was chosen from",
                hint="use with_threshold(...) for the threshold of these words, or with_threshold(None)",
            )

    def prompts(self, description: DescriptionFile) -> PromptSet:
        """Token ids of a description version, made once for each content."""
        prompts: PromptSet = self._prompts(hashed(description))
        return prompts

    def _create_prompts(self, words: Hashed) -> PromptSet:
        return create_prompts(words.description, context_tokens=self.model.config.context_tokens)


def _detection(path: str, image: Image.Image, prediction: Prediction, threshold: Threshold | None) -> Detection:
    reasons = prediction.region, prediction.boxes, prediction.matches
    phrases = None if prediction.phrases is None else prediction.phrases.numpy()
    doubt = unremarkable(image)
    notes = (f"{doubt}; its score means nothing",) if doubt else ()
    return Detection(path, image, prediction.score, prediction.anomaly_map.numpy(), *reasons, threshold, phrases, notes)


def _or_raise(result: Detection | Failure) -> Detection:
    if isinstance(result, Failure):
        raise ImageError(result.error)
    return result
