"""Photos in; scores, maps, boxes and reasons out.

detector = Detector.from_pretrained("mini")
for found in detector.detect(["a.jpg", "b.jpg"], "capsule"):
    print(found.score, found.region, found.descriptions[0].text)
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from descriptions.common.errors import ForgeError
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector.images.load import ReadOptions
from detector.localize.base import Localizer
from detector.localize.boxes import Box
from detector.localize.regions import Region
from detector.model.filo import FiLo
from detector.scoring.feature_cache import FeatureCache
from detector.scoring.predict import Prediction, ScoringSettings, Similarity
from detector.scoring.predictor import MAX_SIZE, Ask, Predictor
from detector.scoring.prompts import PromptSet, build_prompts


class Detection(NamedTuple):
    """What was found in one image."""

    path: str
    """As given; empty for images that came as values."""
    image: Image.Image
    """As scored: upright RGB, at most `max_size`."""
    score: float
    """Higher is more abnormal."""
    heat: Float[np.ndarray, "height width"]
    """Anomaly map in [0, 1] over the whole image; stretch it to the image's size."""
    region: Region | None
    boxes: tuple[Box, ...]
    descriptions: tuple[Similarity, ...]
    """Nearest first; beside good photos, the one that names the region best first."""
    phrases: Float[np.ndarray, "patches descriptions"] | None = None
    """Cosine of every patch with every description of the version, in its order, where it was asked for."""


class Failure(NamedTuple):
    """An image that could not be used, and why, in one line."""

    path: str
    error: str


class Detector:
    """A model, a library of descriptions and a localizer, ready for images.

    Args:
        model: any FiLo.
        store: descriptions; the rule of `Store.open` by default.
        settings: how to score.
        localizer: needed where the settings say `grounding-dino`.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
        batch_size: images read together, and scored together on a GPU; chosen by device when None.
        tile: side in pixels of the windows that larger images are cut into; None looks at each image whole.
        max_size: long side that larger images are shrunk to.
        reading: range of 16-bit files, and the largest picture that is decoded.
        workers: threads that read images.
        cache: of image and text features; it changes no number.

    Raises:
        DeviceError: a device or precision that is not here.
        GroundingWeightsError: `grounding-dino` without a localizer.
    """

    def __init__(
        self,
        model: FiLo,
        *,
        store: Store | None = None,
        settings: ScoringSettings | None = None,
        localizer: Localizer | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        tile: int | None = None,
        max_size: int | None = MAX_SIZE,
        reading: ReadOptions | None = None,
        workers: int = 2,
        cache: FeatureCache | None = None,
    ) -> None:
        self.predictor = Predictor(
            model, settings, localizer=localizer, device=device, precision=precision, batch_size=batch_size, tile=tile,
            max_size=max_size, reading=reading, cache=cache,
        )  # fmt: skip
        self.model, self.device = self.predictor.model, self.predictor.device
        self.batch_size, self.workers = self.predictor.batch_size, max(workers, 1)
        self.store = store or Store.open()
        self._prompts = lru_cache(maxsize=64)(self._build_prompts)

    @property
    def localizer(self) -> Localizer | None:
        """Who says where, besides the model itself."""
        return self.predictor.localizer

    @classmethod
    def from_pretrained(
        cls, preset: str | None = None, *, pretrained: str | Path | None = None, **options: Any
    ) -> "Detector":
        """From a preset, `mini` by default; see the class for the options.

        Args:
            preset: name.
            pretrained: other CLIP weights, by open_clip tag or file, where the preset brings none.
            options: of the class.
        """
        from detector.weights.registry import load_model

        return cls(load_model(preset, pretrained=pretrained), **options)

    @classmethod
    def from_checkpoint(cls, path: str | Path, *, pretrained: str | Path | None = None, **options: Any) -> "Detector":
        """From a checkpoint; see the class for the options.

        Args:
            path: of the whole model, or of the trained parts.
            pretrained: CLIP weights, needed for the trained parts only.
            options: of the class.
        """
        from detector.weights.registry import load_model

        return cls(load_model(None, Path(path), pretrained), **options)

    def detect(self, images: Any, category: str) -> list[Detection]:
        """Look at one image or a list of them: paths, PIL images, arrays or tensors.

        Args:
            images: one or many.
            category: `capsule`, `capsule@2` or `capsule@reviewed`.

        Raises:
            ForgeError: an image that cannot be used, or descriptions that are not there.
        """
        many = images if isinstance(images, list | tuple) else [images]
        found: list[Detection] = []
        for result in self.stream(many, category):
            if isinstance(result, Failure):
                raise ForgeError(result.error)
            found.append(result)
        return found

    def stream(
        self, images: Iterable[Any], category: str | DescriptionFile, *, detail: bool = False
    ) -> Iterator[Detection | Failure]:
        """As `detect`, one by one in order, with bad images as values; memory does not grow with their number.

        Args:
            images: many, as of `detect`.
            category: a reference, or the descriptions themselves.
            detail: also say how near every patch is to every description.

        Raises:
            ForgeError: descriptions that are not there.
        """
        description = self.store.load(category) if isinstance(category, str) else category
        prompts = self.prompts(description)
        for group in self._groups(images):
            pictures = [image for _, image in group if isinstance(image, Image.Image)]
            predictions = iter(self.predictor.predict(pictures, [Ask(prompts, detail=detail)]))
            for path, image in group:
                if isinstance(image, Image.Image):
                    yield _detection(path, image, next(predictions)[0])
                else:
                    yield Failure(path, image)

    def prompts(self, description: DescriptionFile) -> PromptSet:
        """Token ids of a description version, made once for each content."""
        ids = tuple(entry.id for entry in description.anomalies if entry.enabled)  # reported, but not hashed
        prompts: PromptSet = self._prompts(_Hashed((description.content_hash, *ids), description))
        return prompts

    def _build_prompts(self, hashed: "_Hashed") -> PromptSet:
        return build_prompts(hashed.description, context_tokens=self.model.config.context_tokens)

    def _groups(self, images: Iterable[Any]) -> Iterator[list[tuple[str, Image.Image | str]]]:
        """Loaded images (or the reason why not) in batches, a bounded number of them read ahead."""
        source = iter(images)
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: deque[Future[tuple[str, Image.Image | str]]] = deque()
            try:
                while True:
                    waiting.extend(
                        pool.submit(self._load, each) for each in islice(source, 2 * self.batch_size - len(waiting))
                    )
                    if not waiting:
                        return
                    yield [waiting.popleft().result() for _ in range(min(self.batch_size, len(waiting)))]
            finally:
                pool.shutdown(cancel_futures=True)

    def _load(self, value: Any) -> tuple[str, Image.Image | str]:
        path = str(value) if isinstance(value, str | Path) else ""
        try:
            return path, self.predictor.load(value)
        except ForgeError as error:
            return path, str(error)


class _Hashed(NamedTuple):
    """A description file that compares by what the detector reads of it."""

    content: tuple[str, ...]
    description: DescriptionFile

    def __hash__(self) -> int:
        return hash(self.content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and self.content == other.content


def _detection(path: str, image: Image.Image, found: Prediction) -> Detection:
    phrases = None if found.phrases is None else found.phrases.numpy()
    place = (found.region, found.boxes, found.descriptions, phrases)
    return Detection(path, image, found.score, found.heat.numpy(), *place)
