"""Photos in; scores, maps, boxes and reasons out.

detector = Detector.from_pretrained("mini")
for found in detector.detect(["a.jpg", "b.jpg"], "capsule"):
    print(found.score, found.region, found.descriptions[0].text)
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from descriptions.errors import ForgeError
from descriptions.schema import DescriptionFile
from descriptions.store import Store
from detector.device import resolve_batch_size, resolve_device, resolve_precision
from detector.images import limit_size, to_image
from detector.localize.base import Localizer
from detector.localize.boxes import Box, Localisation
from detector.localize.build import needs_weights
from detector.localize.regions import Region, region_at
from detector.model.filo import FiLo
from detector.preprocess import to_pixels
from detector.prompts import PromptSet, build_prompts
from detector.scoring import Prediction, ScoringSettings, Similarity, encode, predict
from detector.tiling import Window, blended

MAX_SIZE = 4096
"""Long side in pixels that larger images are shrunk to while loading."""
MAX_MAP = 2048
"""Long side in pixels of the map of a tiled image."""

Verdict = Literal["good", "anomalous"]


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
    """Nearest first."""


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
        batch_size: images a step; chosen by device when None.
        tile: side in pixels of the windows that larger images are cut into; None looks at each image whole.
        max_size: long side that larger images are shrunk to.
        workers: threads that read images.

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
        workers: int = 2,
    ) -> None:
        self.device = resolve_device(device)
        self.model = model.to(device=self.device, dtype=resolve_precision(precision, self.device)).eval()
        self.store, self.settings = store or Store.open(), settings or ScoringSettings()
        self.localizer = localizer
        if self.settings.localizer == "grounding-dino" and localizer is None:
            raise needs_weights()
        self.batch_size = resolve_batch_size(batch_size, self.device)
        self.tile, self.max_size, self.workers = tile, max_size, max(workers, 1)
        self._prompts = lru_cache(maxsize=64)(self._build_prompts)

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
        from detector.presets import load_model

        return cls(load_model(preset, pretrained=pretrained), **options)

    @classmethod
    def from_checkpoint(cls, path: str | Path, *, pretrained: str | Path | None = None, **options: Any) -> "Detector":
        """From a checkpoint; see the class for the options.

        Args:
            path: of the whole model, or of the trained parts.
            pretrained: CLIP weights, needed for the trained parts only.
            options: of the class.
        """
        from detector.presets import load_model

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

    def stream(self, images: Iterable[Any], category: str) -> Iterator[Detection | Failure]:
        """As `detect`, one by one in order, with bad images as values; memory does not grow with their number.

        Raises:
            ForgeError: descriptions that are not there.
        """
        description = self.store.load(category)
        prompts = self.prompts(description)
        for group in self._groups(images):
            good = [(path, image) for path, image in group if isinstance(image, Image.Image)]
            done = iter(self._detect_group(good, prompts, description))
            for path, image in group:
                yield next(done) if isinstance(image, Image.Image) else Failure(path, image)

    def prompts(self, description: DescriptionFile) -> PromptSet:
        """Token ids of a description version, made once for each content."""
        ids = tuple(entry.id for entry in description.anomalies if entry.enabled)  # reported, but not hashed
        prompts: PromptSet = self._prompts(_Hashed((description.content_hash, *ids), description))
        return prompts

    def _build_prompts(self, hashed: "_Hashed") -> PromptSet:
        return build_prompts(hashed.description, context_tokens=self.model.config.context_tokens)

    def _groups(self, images: Iterable[Any]) -> Iterator[list[tuple[str, Image.Image | str]]]:
        """Loaded images (or the reason why not) in batches, a bounded number of them read ahead."""
        load = partial(_load, max_size=self.max_size)
        source = iter(images)
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: deque[Future[tuple[str, Image.Image | str]]] = deque()
            try:
                while True:
                    waiting.extend(
                        pool.submit(load, each) for each in islice(source, 2 * self.batch_size - len(waiting))
                    )
                    if not waiting:
                        return
                    yield [waiting.popleft().result() for _ in range(min(self.batch_size, len(waiting)))]
            finally:
                pool.shutdown(cancel_futures=True)

    def _detect_group(
        self, group: Sequence[tuple[str, Image.Image]], prompts: PromptSet, description: DescriptionFile
    ) -> list[Detection]:
        """Small images share a batch; those larger than a window are cut."""
        whole = [pair for pair in group if not self._is_large(pair[1])]
        plain = iter(self._predict([image for _, image in whole], prompts, description))
        return [
            self._detect_tiled(path, image, prompts, description)
            if self._is_large(image)
            else _detection(path, image, next(plain))
            for path, image in group
        ]

    def _is_large(self, image: Image.Image) -> bool:
        return self.tile is not None and max(image.size) > self.tile

    @torch.inference_mode()
    def _predict(
        self, images: Sequence[Image.Image], prompts: PromptSet, description: DescriptionFile
    ) -> list[Prediction]:
        if not images:
            return []
        found: list[Localisation] | None = None
        if self.settings.localizer == "grounding-dino" and self.localizer is not None:
            found = self.localizer.locate(images, description.enabled_texts)
        pixels = torch.stack([to_pixels(image, self.model.config) for image in images]).to(self.device)
        return predict(self.model, encode(self.model, pixels), prompts, self.settings, found)

    def _detect_tiled(
        self, path: str, image: Image.Image, prompts: PromptSet, description: DescriptionFile
    ) -> Detection:
        """Score every window; the map is blended, and score and reasons are those of the most abnormal window."""
        best: tuple[Window, Prediction] | None = None

        def score(cuts: Sequence[Image.Image], where: Sequence[Window]) -> list[Float[np.ndarray, "h w"]]:
            nonlocal best
            predictions = self._predict(cuts, prompts, description)
            for pair in zip(where, predictions, strict=True):
                best = pair if best is None or pair[1].score > best[1].score else best
            return [one.heat.numpy() for one in predictions]

        heat = blended(image, self.tile or max(image.size), score, batch=self.batch_size)
        if best is None:  # no window: impossible for an image with pixels
            raise ForgeError(f"{path}: the image has no pixels")
        window, top = best
        boxes = tuple(_in_image(box, window, image.size) for box in top.boxes)
        region = region_at(*boxes[0].center) if boxes and top.region else top.region
        small = np.clip(np.asarray(limit_size(Image.fromarray(heat), MAX_MAP)), 0, 1)  # LANCZOS overshoots at edges
        return Detection(path, image, top.score, small, region, boxes, top.descriptions)


class _Hashed(NamedTuple):
    """A description file that compares by what the detector reads of it."""

    content: tuple[str, ...]
    description: DescriptionFile

    def __hash__(self) -> int:
        return hash(self.content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and self.content == other.content


def _load(value: Any, max_size: int | None) -> tuple[str, Image.Image | str]:
    path = str(value) if isinstance(value, str | Path) else ""
    try:
        return path, to_image(value, max_size)
    except ForgeError as error:
        return path, str(error)


def _detection(path: str, image: Image.Image, found: Prediction) -> Detection:
    return Detection(path, image, found.score, found.heat.numpy(), found.region, found.boxes, found.descriptions)


def _in_image(box: Box, window: Window, size: tuple[int, int]) -> Box:
    """From units of a window to units of the image."""
    width, height = window.right - window.left, window.bottom - window.top
    x0, x1 = ((window.left + x * width) / size[0] for x in (box.x0, box.x1))
    y0, y1 = ((window.top + y * height) / size[1] for y in (box.y0, box.y1))
    return box._replace(x0=x0, y0=y0, x1=x1, y1=y1)
