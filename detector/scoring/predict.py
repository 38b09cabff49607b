"""From an encoded image to a score, a map, and the reasons. The same stages serve `detect` and `eval`.

encode(model, pixels) -> Encoded            once per image, independent of any words; this is what is cached
predict(model, encoded, prompts, ...)       once per description version

`detector.scoring.predictor` runs both on pictures of any size.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage
from torch import Tensor

from detector import defaults
from detector.defaults import GateName, LocalizerName
from detector.localize.boxes import NOWHERE, Box, Localisation
from detector.localize.regions import REGIONS, RELEASED_SIZE, Region, region_at
from detector.model.filo import FiLo, Maps
from detector.model.text_tower import TextFeatures
from detector.scoring import maps
from detector.scoring.prompts import PromptSet
from detector.scoring.text_reader import TextReader


class ScoringSettings(BaseModel):
    """How maps become one map and one score; the defaults are FiLo's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    localizer: LocalizerName = defaults.LOCALIZER
    """Who says where: nobody, the model's own first map, or Grounding DINO."""
    position: bool = True
    """Whether the found region goes into the text; otherwise the text is averaged over all nine."""
    gate: GateName = defaults.GATE
    """Outside the boxes of a localizer the map stays as it is, is multiplied with `gate_weight`, or becomes 0."""
    gate_weight: Annotated[float, Field(ge=0, le=1)] = maps.OUTSIDE
    """Factor of the soft gate."""
    smoothing: Annotated[float, Field(ge=0)] | None = None
    """Standard deviation in pixels of the blur on the map; None is the released 3 x 3 blur, 0 is none."""
    image_score: Literal["filo", "map", "similarity"] = "filo"
    """Mean of abnormal similarity and highest map value before gating (FiLo), or one of the two alone."""


class Encoded(NamedTuple):
    """What the model knows of a batch of images before it has read a word."""

    embedding: Float[Tensor, "batch embed"]
    patches: tuple[Float[Tensor, "batch patches embed"], ...]

    def select(self, index: int) -> "Encoded":
        """One image, still as a batch."""
        return Encoded(self.embedding[index : index + 1], tuple(level[index : index + 1] for level in self.patches))

    def to(self, device: torch.device) -> "Encoded":
        """The same features on another device."""
        return Encoded(self.embedding.to(device), tuple(level.to(device) for level in self.patches))


def stacked(images: Sequence[Encoded]) -> Encoded:
    """One batch of several."""
    if len(images) == 1:
        return images[0]
    levels = zip(*(each.patches for each in images), strict=True)
    return Encoded(torch.cat([each.embedding for each in images]), tuple(torch.cat(level) for level in levels))


class Match(NamedTuple):
    """How near one description is to the most abnormal patch."""

    id: str
    text: str
    similarity: float
    """Cosine, averaged over the decoders."""
    deviations: float | None = None
    """How far that lies above what the description says of good patches, where there are any to compare with."""


class Prediction(NamedTuple):
    """What is said about one image."""

    score: float
    """Higher is more abnormal."""
    anomaly_map: Float[Tensor, "height width"]
    """Anomaly map in [0, 1], at the model's image size, on the CPU."""
    region: Region | None
    """Region named in the text; None when the text was averaged over all nine."""
    boxes: tuple[Box, ...]
    matches: tuple[Match, ...]
    """All enabled descriptions, nearest first."""
    phrases: Float[Tensor, "patches descriptions"] | None = None
    """Cosine of every patch with every description, in the order of the prompts, where it was asked for."""


def encode(model: FiLo, pixels: Float[Tensor, "batch 3 size size"]) -> Encoded:
    """The part of the work that no description changes.

    Tensors are laid out row by row, as the cache gives them back: a product over a transposed one adds up in another
    order, and no score may depend on what happens to be cached.
    """
    features = model.encode_image(pixels)
    patches = tuple(level.contiguous() for level in model.patch_embeddings(features))
    return Encoded(features.embedding.contiguous(), patches)


def predict(
    model: FiLo,
    encoded: Encoded,
    prompts: PromptSet | Sequence[PromptSet],
    settings: ScoringSettings | None = None,
    localisations: Sequence[Localisation] | None = None,
    reader: TextReader | None = None,
    detail: bool = False,
) -> list[Prediction]:
    """Score every image of a batch.

    Args:
        model: on the device of `encoded`.
        encoded: from `encode`, or from a cache.
        prompts: of one product, or one set per image.
        settings: how to score.
        localisations: what the localizer said, one per image; not needed for `none` and `self`.
        reader: for these images; it remembers what it has read. A new one by default.
        detail: also say how near every patch is to every description.
    """
    settings = settings or ScoringSettings()
    images = len(encoded.embedding)
    sets = [prompts] * images if isinstance(prompts, PromptSet) else list(prompts)
    reader = reader or TextReader(model, encoded.embedding)
    places = list(localisations) if localisations is not None else [NOWHERE] * images
    if settings.localizer == "self" and localisations is None:
        first = combined_map(model.anomaly_maps(encoded.patches, reader.features(sets)), settings)
        places = [peak(each) for each in first]
    text = reader.features(sets, [positions(each, settings) for each in places])
    return decide(model, encoded, sets, text, places, settings, detail)


def decide(
    model: FiLo,
    encoded: Encoded,
    sets: Sequence[PromptSet],
    text: TextFeatures,
    places: Sequence[Localisation],
    settings: ScoringSettings,
    detail: bool = False,
) -> list[Prediction]:
    """The last stage of `predict`, for text features that are known already; one set and one place an image."""
    levels = model.anomaly_maps(encoded.patches, text)
    anomaly_map = combined_map(levels, settings)
    scores = _image_scores(model, encoded, text, anomaly_map, settings)
    near = [_similarities(encoded, text, anomaly_map, index, each) for index, each in enumerate(sets)]
    phrases = [_phrases(encoded, text, index, each) if detail else None for index, each in enumerate(sets)]
    gated = _gate(model, anomaly_map, places, settings).float().cpu()
    return [
        Prediction(
            score, gated[index], each.region if settings.position else None, each.boxes, near[index], phrases[index]
        )
        for index, (score, each) in enumerate(zip(scores.tolist(), places, strict=True))
    ]


def combined_map(levels: Maps, settings: ScoringSettings) -> Float[Tensor, "batch height width"]:
    """One map an image from the decoders' maps."""
    if settings.smoothing is None:
        return maps.mean_map(levels)
    mean = torch.stack([maps.abnormality(level) for level in levels]).mean(0)
    if settings.smoothing == 0:
        return mean
    size = 2 * min(round(3 * settings.smoothing) + 1, mean.shape[-1] // 2 - 1) + 1
    return maps.blur(mean, size, settings.smoothing)


def peak(anomaly_map: Float[Tensor, "height width"]) -> Localisation:
    """The localizer `self`: the connected area around the highest point of a first map, as a box.

    The region is the area above the midpoint of mean and maximum. A flat map has no region.
    """
    values = anomaly_map.float().cpu().numpy()
    top, mean = float(values.max()), float(values.mean())
    if not top > mean:
        return NOWHERE
    areas, _ = ndimage.label(values >= (top + mean) / 2)
    around = areas[np.unravel_index(int(values.argmax()), values.shape)]
    rows, columns = ndimage.find_objects((areas == around).astype(np.uint8))[0]
    height, width = values.shape
    box = Box(columns.start / width, rows.start / height, columns.stop / width, rows.stop / height, "", top)
    return Localisation((box,), region_at(*box.center))


def positions(place: Localisation, settings: ScoringSettings) -> tuple[int, ...]:
    """Index of the region that the text names; none where it is averaged over all of them."""
    return (REGIONS.index(place.region),) if settings.position and place.region is not None else ()


def _image_scores(
    model: FiLo, encoded: Encoded, text: TextFeatures, anomaly_map: Tensor, settings: ScoringSettings
) -> Float[Tensor, " batch"]:
    if settings.image_score == "map":
        return anomaly_map.amax((-2, -1))
    similarity = model.similarity(encoded.embedding, text)
    return similarity[:, 1] if settings.image_score == "similarity" else maps.image_score(similarity, anomaly_map)


def _similarities(
    encoded: Encoded,
    text: TextFeatures,
    anomaly_map: Float[Tensor, "batch height width"],
    index: int,
    prompts: PromptSet,
) -> tuple[Match, ...]:
    """Cosine of every description with the patch under the highest point of the map."""
    count = len(prompts.anomalies)
    height, width = anomaly_map.shape[-2:]
    row, column = divmod(int(anomaly_map[index].argmax()), width)
    near = torch.zeros(count, device=anomaly_map.device)
    for level in encoded.patches:
        side = round(level.shape[1] ** 0.5)
        patch = level[index, min(row * side // height, side - 1) * side + min(column * side // width, side - 1)]
        near += text.states[index][:count].to(near) @ patch.to(near) / len(encoded.patches)
    listed = [Match(*each, value) for each, value in zip(prompts.anomalies, near.tolist(), strict=True)]
    return tuple(sorted(listed, key=lambda each: -each.similarity))


def _phrases(
    encoded: Encoded, text: TextFeatures, index: int, prompts: PromptSet
) -> Float[Tensor, "patches descriptions"]:
    """Cosine of every patch with every description, averaged over the decoders, on the CPU."""
    states = text.states[index][: len(prompts.anomalies)].float()
    levels = [level[index].float() @ states.T.to(level.device) for level in encoded.patches]
    return torch.stack(levels).mean(0).cpu()


def _gate(
    model: FiLo,
    anomaly_map: Float[Tensor, "batch height width"],
    places: Sequence[Localisation],
    settings: ScoringSettings,
) -> Float[Tensor, "batch height width"]:
    """Weight the map by an outside localizer's boxes; `self` has none that the map does not know already."""
    if settings.gate == "none" or settings.localizer != "grounding-dino":
        return anomaly_map
    outside = settings.gate_weight if settings.gate == "soft" else 0.0
    boxes = [torch.tensor([box[:4] for box in each.boxes], dtype=torch.float64).reshape(-1, 4) for each in places]
    if model.config.variant == "filo":
        return maps.gate(anomaly_map, boxes, outside)
    pixels = [(each * RELEASED_SIZE).float() * (anomaly_map.shape[-1] / RELEASED_SIZE) for each in boxes]
    return torch.stack([maps.gate_released(one, each, outside) for one, each in zip(anomaly_map, pixels, strict=True)])
