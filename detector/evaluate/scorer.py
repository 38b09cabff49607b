"""One pass over the images of a category: every image is encoded once and scored by every variant."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from detector.data import Sample, read_mask
from detector.evaluate.record_folder import is_scored, record_path, remove_failure, write_failure
from detector.evaluate.records import Counts, Record, pack_counts, write_record
from detector.evaluate.variants import Variant
from detector.images.load import ImageError, image_size
from detector.images.tiling import enlarged
from detector.metrics import count_pixels
from detector.scoring.predict import Prediction
from detector.scoring.predictor import Ask, Predictor


class Failure(NamedTuple):
    """An image that could not be used."""

    path: str
    error: str


@dataclass(frozen=True)
class Scorer:
    """A predictor, and what of it is recorded.

    Args:
        predictor: model and everything that decides how it scores.
        contributions: whether each version is also scored with each of its descriptions left out.
    """

    predictor: Predictor
    contributions: bool = True

    def columns(self, variants: Sequence[Variant]) -> list[tuple[str, str | None]]:
        """What each column of a record is: a variant's name, and the id of the description left out of it, if any."""
        named: list[tuple[str, str | None]] = [(variant.name, None) for variant in variants]
        if self.contributions:
            named += [(v.name, entry.id) for v in variants if _can_lose_one(v) for entry in v.prompts.anomalies]
        return named

    def score(self, sample: Sample, variants: Sequence[Variant]) -> Record:
        """Results of one image for every column.

        Raises:
            ImageError: the image or its mask cannot be used.
        """
        began, encoding = time.perf_counter(), self.predictor.encoding_seconds
        picture = self.predictor.load(sample.image)
        asks = [Ask(variant.prompts, self.contributions and _can_lose_one(variant)) for variant in variants]
        (predictions,) = self.predictor.predict([picture], asks)
        scores = np.array([each.score for each in predictions], dtype=np.float64)
        counts = self._count(sample, predictions)
        spent = self.predictor.encoding_seconds - encoding
        return Record(scores, counts, np.array([spent, time.perf_counter() - began - spent]))

    def _count(self, sample: Sample, predictions: Sequence[Prediction]) -> tuple[Counts, ...]:
        """Pixel counts at the model's image size, so that every image weighs the same, cut into windows or not."""
        if not sample.has_pixel_labels:
            return ()
        size = self.predictor.model.config.image_size
        mask = read_mask(sample.mask, image_size(sample.image), size)
        anomaly_maps = [each.anomaly_map.numpy() for each in predictions]
        square = [
            anomaly_map if anomaly_map.shape == (size, size) else enlarged(anomaly_map, size, size)
            for anomaly_map in anomaly_maps
        ]
        return tuple(pack_counts(count_pixels(anomaly_map, mask)) for anomaly_map in square)


def score_all(
    scorer: Scorer,
    samples: Sequence[Sample],
    origins: Sequence[str],
    variants: Sequence[Variant],
    folder: Path,
    shard: tuple[int, int] = (1, 1),
) -> Iterator[None]:
    """Score what `folder` does not hold yet, one file per image; yields once per image.

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
    predictor = scorer.predictor
    texts = [[variant.name, repr(variant.prompts)] for variant in variants]
    texts += [["localizer", predictor.localizer.fingerprint if predictor.localizer else ""]]
    files = [[sample.image.name, sample.defect, sample.mask.name if sample.mask else None] for sample in samples]
    how = [predictor.weights, predictor.settings.model_dump(), predictor.decoders, predictor.tile, predictor.max_size]
    how += [predictor.reading.bits]
    whole = [*how, scorer.contributions, texts, files]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def _can_lose_one(variant: Variant) -> bool:
    """Whether something is left to compare with when a description goes."""
    return not variant.control and bool(variant.prompts.anomalies) and len(variant.prompts.abnormal) > 1
