"""Pictures and words in, predictions out: the one pipeline under `detect`, `eval` and everything else that scores.

Whoever asks with the same picture, words, settings, precision, window and size limit gets the same score: to the bit on
the CPU, where every picture is scored by itself, so that no batch or cache can change the order of a sum.
"""

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol, TypedDict

import torch
from PIL import Image
from torch import Tensor

from detector import defaults
from detector.device import precision_name, resolve_batch_size, resolve_device, resolve_precision
from detector.images.load import ReadOptions, to_image
from detector.images.tensors import to_pixels
from detector.images.tiling import Blend, Window, windows
from detector.localize.base import Localizer
from detector.localize.boxes import Box, Localisation
from detector.localize.regions import region_at
from detector.localize.registry import needs_weights
from detector.model.filo import FiLo
from detector.scoring.feature_cache import FeatureCache, fingerprint, image_fingerprint, picture_key, tensors_key
from detector.scoring.predict import Encoded, Prediction, ScoringSettings, decide, encode, positions, predict, stacked
from detector.scoring.prompts import PromptSet, without
from detector.scoring.text_reader import TextReader

MAX_MAP = 2048
"""Long side in pixels of the map of a tiled image."""

Decoders = Literal["all", "linear", "conv"]


class Ask(NamedTuple):
    """Words to score pictures with."""

    prompts: PromptSet
    leave_one_out: bool = False
    """Also score with each description left out, at the place that all of them together name."""
    detail: bool = False
    """Also say how near every patch is to every description."""


class Encoder(Protocol):
    """Computes the features of pictures in place of the model, such as `detector.export.runtimes.RuntimeEncoder`."""

    @property
    def name(self) -> str:
        """Keeps its features apart from others in the cache."""
        ...

    def __call__(self, pixels: Tensor) -> Encoded:
        """Features of normalised pixels [batch, 3, size, size] on the CPU."""
        ...


class Options(TypedDict, total=False):
    """Options of `Predictor`, where their meaning and their defaults are, for whoever hands them on."""

    settings: ScoringSettings | None
    localizer: Localizer | None
    device: str
    precision: str
    batch_size: int | None
    tile: int | None
    max_size: int | None
    reading: ReadOptions | None
    cache: FeatureCache | None
    decoders: Decoders
    encoder: Encoder | None


class Predictor:
    """A model and everything that decides how it scores pictures.

    Args:
        model: any FiLo; it is moved to the device and to the precision.
        settings: how maps become scores.
        localizer: needed where the settings say `grounding-dino`.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
        batch_size: pictures per step on a GPU; by device when None. On the CPU pictures go one by one.
        tile: side in pixels of the windows that larger pictures are cut into; None looks at each picture whole.
        max_size: long side that larger pictures are shrunk to.
        reading: range of 16-bit files, and the largest picture that is decoded.
        cache: of image and text features, or None; it changes no number.
        decoders: which of the model's maps take part: all, or only the linear or convolutional ones.
        encoder: computes the features of pictures on the CPU in place of the model; see `create_encoder`.

    Raises:
        DeviceError: a device or precision that is not here.
        GroundingWeightsError: `grounding-dino` without a localizer.
    """

    def __init__(
        self,
        model: FiLo,
        settings: ScoringSettings | None = None,
        *,
        localizer: Localizer | None = None,
        device: str = defaults.DEVICE,
        precision: str = defaults.PRECISION,
        batch_size: int | None = None,
        tile: int | None = None,
        max_size: int | None = defaults.MAX_SIZE,
        reading: ReadOptions | None = None,
        cache: FeatureCache | None = None,
        decoders: Decoders = "all",
        encoder: Encoder | None = None,
    ) -> None:
        self.device = resolve_device(device)
        self.precision = precision_name(precision, self.device)
        self.model = model.to(device=self.device, dtype=resolve_precision(precision, self.device)).eval()
        self.settings, self.localizer = settings or ScoringSettings(), localizer
        if self.settings.localizer == "grounding-dino" and localizer is None:
            raise needs_weights()
        self.batch_size = resolve_batch_size(batch_size, self.device)
        self.reading = reading or ReadOptions()
        self.tile, self.max_size, self.cache, self.decoders = tile, max_size, cache, decoders
        self.encoder = encoder
        self.encoding_seconds = 0.0
        """Spent in the image tower so far."""
        self._reader: TextReader | None = None

    @cached_property
    def weights(self) -> str:
        """Digest of all weights, in their precision."""
        return fingerprint(self.model)

    @cached_property
    def _image_weights(self) -> str:
        return image_fingerprint(self.model) + (f" {self.encoder.name}" if self.encoder else "")

    def load(self, value: Any) -> Image.Image:
        """A picture as it is scored: upright RGB, at most `max_size`.

        Raises:
            ImageError: it cannot be used.
        """
        return to_image(value, self.max_size, self.reading)

    @torch.inference_mode()
    def predict(self, pictures: Sequence[Image.Image], asks: Sequence[Ask]) -> list[list[Prediction]]:
        """Score pictures with one or many sets of words.

        Args:
            pictures: as `load` gives them.
            asks: what to score each of them with.

        Returns:
            Per picture one prediction per ask, in order, and after those the ones with each description left out, ask
            by ask. The map of a picture that was cut into windows has its own shape, and at most `MAX_MAP`.
        """
        whole = [picture for picture in pictures if not self.is_large(picture)]
        plain = (one for group in _groups(whole, self._step) for one in self._predict(group, asks))
        return [self._predict_windows(picture, asks) if self.is_large(picture) else next(plain) for picture in pictures]

    def is_large(self, picture: Image.Image) -> bool:
        """Whether a picture is cut into windows."""
        return self.tile is not None and max(picture.size) > self.tile

    def encode(self, pictures: Sequence[Image.Image]) -> Encoded:
        """Features of pictures, each looked at whole, from the cache where it has them."""
        keys = [picture_key(picture, self._image_weights) for picture in pictures] if self.cache else []
        known = [self.cache.get(key) for key in keys] if self.cache else [None] * len(pictures)
        missing = [picture for picture, features in zip(pictures, known, strict=True) if features is None]
        if not missing:
            return stacked([features.to(self.device) for features in known if features is not None])
        began = time.perf_counter()
        pixels = torch.stack([to_pixels(picture, self.model.config) for picture in missing]).to(self.device)
        fresh = self.encoder(pixels.cpu()).to(self.device) if self.encoder else encode(self.model, pixels)
        self.encoding_seconds += time.perf_counter() - began
        if not self.cache:
            return fresh
        rest = iter(range(len(missing)))
        each = [features.to(self.device) if features else fresh.select(next(rest)) for features in known]
        for key, features, before in zip(keys, each, known, strict=True):
            if before is None:
                self.cache.put(key, features)
        return stacked(each)

    @property
    def _step(self) -> int:
        return 1 if self.device.type == "cpu" else self.batch_size

    def _predict(self, pictures: Sequence[Image.Image], asks: Sequence[Ask]) -> list[list[Prediction]]:
        """One batch of pictures, each looked at whole."""
        encoded = self._with_decoders(self.encode(pictures))
        reader = TextReader(self.model, encoded.embedding, self._reader)
        self._reader = reader
        keys = self._recall(reader)
        columns: list[list[Prediction]] = []
        left_out: list[list[Prediction]] = []
        for ask in asks:
            together = predict(
                self.model, encoded, ask.prompts, self.settings, self._locate(pictures, ask.prompts), reader, ask.detail
            )
            columns.append(together)
            if ask.leave_one_out:
                left_out += self._leave_one_out(encoded, reader, ask.prompts, together)
        self._remember(reader, keys)
        return [list(one) for one in zip(*columns, *left_out, strict=True)]

    def _with_decoders(self, encoded: Encoded) -> Encoded:
        linear = len(self.model.config.feature_levels)
        parts = {"all": slice(None), "linear": slice(None, linear), "conv": slice(linear, None)}
        return encoded._replace(patches=encoded.patches[parts[self.decoders]])

    def _locate(self, pictures: Sequence[Image.Image], prompts: PromptSet) -> list[Localisation] | None:
        if self.settings.localizer != "grounding-dino" or self.localizer is None:
            return None
        return self.localizer.locate(pictures, [entry.text for entry in prompts.anomalies])

    def _leave_one_out(
        self, encoded: Encoded, reader: TextReader, prompts: PromptSet, together: Sequence[Prediction]
    ) -> list[list[Prediction]]:
        """For each description, what a batch scores without it."""
        places = [Localisation(one.boxes, one.region) for one in together]
        at = [positions(place, self.settings) for place in places]
        predictions = []
        for index in range(len(prompts.anomalies)):
            fewer = [without(prompts, index)] * len(places)
            text = reader.features(fewer, at)
            predictions.append(decide(self.model, encoded, fewer, text, places, self.settings))
        return predictions

    def _recall(self, reader: TextReader) -> list[str]:
        """Give a reader what the cache knows of its contexts; returns their keys."""
        if self.cache is None:
            return []
        keys: dict[int, str] = {}
        for text in reader.images:
            if id(text) not in keys:
                keys[id(text)] = tensors_key(list(text.contexts.values()), self.weights)
                if not text.rows:
                    cached = self.cache.tensors(keys[id(text)]) or {}
                    text.rows |= {name: rows.to(self.device) for name, rows in cached.items()}
        return [keys[id(text)] for text in reader.images]

    def _remember(self, reader: TextReader, keys: Sequence[str]) -> None:
        if self.cache is None:
            return
        for text, key in zip(reader.images, keys, strict=True):
            if text.fresh:
                self.cache.keep(key, text.rows)
                text.fresh = 0

    def _predict_windows(self, picture: Image.Image, asks: Sequence[Ask]) -> list[Prediction]:
        """Score every window; maps are blended, and score and reasons are those of the most abnormal window."""
        best: list[tuple[Window, Prediction]] = []
        blend = Blend(picture.size, MAX_MAP)
        for group in _groups(windows(picture.width, picture.height, self.tile or max(picture.size)), self._step):
            predictions = self._predict([picture.crop(window) for window in group], asks)
            for window, columns in zip(group, predictions, strict=True):
                blend.add(window, [one.anomaly_map.numpy() for one in columns])
                here = [(window, one) for one in columns]
                pairs = zip(best, here, strict=True)
                best = [new if new[1].score > old[1].score else old for old, new in pairs] if best else here
        anomaly_maps = map(torch.from_numpy, blend.maps())
        return [
            _in_picture(*one, picture.size, anomaly_map) for one, anomaly_map in zip(best, anomaly_maps, strict=True)
        ]


def _in_picture(window: Window, top: Prediction, size: tuple[int, int], anomaly_map: torch.Tensor) -> Prediction:
    """The prediction of a window as one of the whole picture."""
    boxes = tuple(_moved(box, window, size) for box in top.boxes)
    region = region_at(*boxes[0].center) if boxes and top.region else top.region
    return top._replace(anomaly_map=anomaly_map, boxes=boxes, region=region)


def _moved(box: Box, window: Window, size: tuple[int, int]) -> Box:
    """From units of a window to units of the picture."""
    width, height = window.right - window.left, window.bottom - window.top
    x0, x1 = ((window.left + x * width) / size[0] for x in (box.x0, box.x1))
    y0, y1 = ((window.top + y * height) / size[1] for y in (box.y0, box.y1))
    return box._replace(x0=x0, y0=y0, x1=x1, y1=y1)


def _groups(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
