"""One pass over the images of a category: every image is encoded once and scored by every variant."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from detector.cache import FeatureCache, fingerprint, image_key, rounded
from detector.data import Sample, read_mask
from detector.evaluate.folder import is_scored, record_path, remove_failure, write_failure
from detector.evaluate.records import Counts, Record, pack_counts, write_record
from detector.evaluate.variants import Variant, without
from detector.evaluate.words import Words
from detector.images import ImageError, load_image
from detector.localize.base import Localizer
from detector.localize.boxes import NOWHERE, Localisation
from detector.localize.regions import REGIONS
from detector.metrics import count_pixels
from detector.model.filo import FiLo
from detector.preprocess import to_pixels
from detector.scoring import Encoded, Prediction, ScoringSettings, decide, encode, predict


class Failure(NamedTuple):
    """An image that could not be used."""

    path: str
    error: str


@dataclass(frozen=True)
class Scorer:
    """A model and everything that decides how it scores.

    Args:
        model: on its device, in evaluation mode.
        fingerprint: of its image side, as `cache.image_fingerprint` gives it.
        settings: how maps become scores.
        cache: of image features, or None.
        localizer: needed where the settings say `grounding-dino`.
        decoders: which of the model's maps take part: all, or only the linear or convolutional ones.
        contributions: whether each version is also scored with each of its descriptions left out.
    """

    model: FiLo
    fingerprint: str
    settings: ScoringSettings = field(default_factory=ScoringSettings)
    cache: FeatureCache | None = None
    localizer: Localizer | None = None
    decoders: str = "all"
    contributions: bool = True

    @cached_property
    def weights(self) -> str:
        """Digest of all weights, those that read the words included."""
        return fingerprint(self.model)

    def columns(self, variants: Sequence[Variant]) -> list[tuple[str, str | None]]:
        """What each column of a record is: a variant's name, and the id of the description left out of it, if any."""
        named: list[tuple[str, str | None]] = [(variant.name, None) for variant in variants]
        if self.contributions:
            named += [(v.name, entry.id) for v in variants if _can_lose_one(v) for entry in v.prompts.descriptions]
        return named

    @torch.inference_mode()
    def score(self, sample: Sample, variants: Sequence[Variant]) -> Record:
        """Results of one image for every column.

        Raises:
            ImageError: the image or its mask cannot be used.
        """
        began = time.perf_counter()
        picture, content = load_image(sample.image), sample.image.read_bytes()
        encoded, fresh = self._features(content, picture)
        encoded_at = time.perf_counter()
        text_key = image_key(content, self.weights)
        words = Words(self.model, encoded.embedding, self.cache.tensors(text_key) if self.cache else None)
        predictions: list[Prediction] = []
        left_out: list[Prediction] = []
        for variant in variants:
            found = self._predict(encoded, words, variant, picture)
            predictions.append(found)
            if self.contributions and _can_lose_one(variant):
                left_out += self._leave_one_out(encoded, words, variant, found)
        if self.cache and words.fresh:
            self.cache.keep(text_key, words.kept)
        scores = np.array([each.score for each in (*predictions, *left_out)], dtype=np.float64)
        counts = self._count(sample, picture, [*predictions, *left_out])
        ended = time.perf_counter()
        spent = encoded_at - began if fresh else 0.0
        return Record(scores, counts, np.array([spent, ended - began - spent]))

    def _features(self, content: bytes, picture: Image.Image) -> tuple[Encoded, bool]:
        """Features of an image and whether the image tower had to run."""
        key = image_key(content, self.fingerprint)
        device = next(self.model.parameters()).device
        encoded, fresh = self.cache.get(key) if self.cache else None, False
        if encoded is None:
            pixels = to_pixels(picture, self.model.config)[None].to(device)
            encoded, fresh = rounded(encode(self.model, pixels)), True
            if self.cache:
                self.cache.put(key, encoded)
        patches = self._chosen(encoded.patches)
        return Encoded(encoded.embedding.to(device), tuple(level.to(device) for level in patches)), fresh

    def _chosen(self, patches: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        linear = len(self.model.config.feature_levels)
        return {"all": patches, "linear": patches[:linear], "conv": patches[linear:]}[self.decoders]

    def _localise(self, picture: Image.Image, variant: Variant) -> list[Localisation] | None:
        if self.settings.localizer == "self":
            return None
        if self.localizer is None:
            return [NOWHERE]
        return self.localizer.locate([picture], [entry.text for entry in variant.prompts.descriptions])

    def _predict(self, encoded: Encoded, words: Words, variant: Variant, picture: Image.Image) -> Prediction:
        prompts, places = variant.prompts, self._localise(picture, variant)
        return predict(
            self.model, encoded, prompts, self.settings, places, lambda at: words.features(prompts, at[0])
        )[0]  # fmt: skip

    def _leave_one_out(self, encoded: Encoded, words: Words, variant: Variant, whole: Prediction) -> list[Prediction]:
        """Predictions without each description in turn, at the place that all of them together found."""
        place = Localisation(whole.boxes, whole.region)
        at = () if place.region is None else (REGIONS.index(place.region),)
        found = []
        for index in range(len(variant.prompts.descriptions)):
            fewer = without(variant.prompts, index)
            found += decide(self.model, encoded, [fewer], words.features(fewer, at), [place], self.settings)
        return found

    def _count(self, sample: Sample, picture: Image.Image, predictions: Sequence[Prediction]) -> tuple[Counts, ...]:
        if not sample.has_pixel_labels:
            return ()
        mask = read_mask(sample.mask, picture.size, self.model.config.image_size)
        return tuple(pack_counts(count_pixels(each.heat.numpy(), mask)) for each in predictions)


def score_all(
    scorer: Scorer,
    samples: Sequence[Sample],
    origins: Sequence[str],
    variants: Sequence[Variant],
    folder: Path,
    shard: tuple[int, int] = (1, 1),
) -> Iterator[None]:
    """Score what `folder` does not hold yet, one file an image; yields once an image.

    An image that cannot be used leaves a note instead of a record, and is tried again by the next run.

    Args:
        scorer: model and settings.
        samples: all images, in the order of the data set.
        origins: their digests, as `folder.origin` gives them.
        variants: scored in one pass.
        folder: of the records; several processes may fill it.
        shard: (i, n) takes every n-th image, from the i-th on (from 1).

    Raises:
        EvaluationError: a record was made from another image or mask.
    """
    part, parts = shard
    for index, sample in enumerate(samples):
        if index % parts != part - 1:
            continue
        if not is_scored(folder, index, origins[index]):
            try:
                write_record(record_path(folder, index), scorer.score(sample, variants), origins[index])
                remove_failure(folder, index)
            except ImageError as error:
                write_failure(folder, index, origins[index], str(error))
        yield


def identity(scorer: Scorer, samples: Sequence[Sample], variants: Sequence[Variant]) -> str:
    """SHA-256 over all that decides the records, so that no run continues another one's.

    What the images show is not in it: every record says itself what it was made from, so that an image that could not
    be used may be replaced.
    """
    texts = [[variant.name, repr(variant.prompts)] for variant in variants]
    texts += [["localizer", scorer.localizer.fingerprint if scorer.localizer else ""]]
    files = [[sample.image.name, sample.defect, sample.mask.name if sample.mask else None] for sample in samples]
    whole = [scorer.weights, scorer.settings.model_dump(), scorer.decoders, scorer.contributions, texts, files]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def _can_lose_one(variant: Variant) -> bool:
    """Whether something is left to compare with when a description goes."""
    return not variant.control and bool(variant.prompts.descriptions) and len(variant.prompts.abnormal) > 1
