"""The localizer `grounding-dino`: boxes for words, from an open-vocabulary detector (paper, section 3.3)."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from detector.defaults import DINO_TEXT
from detector.localize.boxes import Localisation
from detector.localize.dino.caption import create_caption, released_caption
from detector.localize.dino.model import TextParts, create_grounding_dino, load_text_parts, quiet
from detector.localize.dino.released import released_grounding
from detector.localize.dino.select import Thresholds, select_boxes
from detector.localize.dino.weights import infer_config, load_weights, read_weights

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHORT_SIDE, LONG_SIDE = 518, 1333
"""The release resizes to 518, not to the 800 the model was trained with; a larger side costs time quadratically."""


class GroundingDino:
    """Grounding DINO behind the `Localizer` protocol."""

    def __init__(
        self,
        model: nn.Module,
        text: TextParts,
        *,
        rules: Literal["filo", "released"] = "filo",
        thresholds: Thresholds = Thresholds(),  # noqa: B008 - immutable
        short_side: int = SHORT_SIDE,
        weights_id: str = "unknown",
    ) -> None:
        self.model = model.eval()
        self.tokenizer = text.tokenizer
        self.rules, self.thresholds, self.short_side = rules, thresholds, short_side
        settings = f"{weights_id} {rules} {tuple(thresholds)} {short_side}"
        self.fingerprint = f"grounding-dino {hashlib.sha256(settings.encode()).hexdigest()[:16]}"

    @classmethod
    def from_checkpoint(
        cls,
        path: Path,
        text_source: str | Path = DINO_TEXT,
        *,
        rules: Literal["filo", "released"] = "filo",
        device: str = "cpu",
    ) -> "GroundingDino":
        """Build from a checkpoint of any size (Swin-T, Swin-B, ...) in any of the known formats.

        Args:
            path: official, FiLo's, or safetensors.
            text_source: folder with BERT's `vocab.txt`, or a hub name; weights come from the checkpoint.
            rules: how boxes are accepted.
            device: where it runs.

        Raises:
            GroundingWeightsError: the file is missing, damaged or of another model.
            VocabularyError: no vocabulary there.
        """
        state = read_weights(path)
        text = load_text_parts(text_source)
        model = create_grounding_dino(infer_config(state, str(path)), text)
        load_weights(model, state, str(path))
        return cls(model.to(device), text, rules=rules, weights_id=file_id(path))

    def locate(self, images: Sequence[Image.Image], descriptions: Sequence[str]) -> list[Localisation]:
        """One answer per image; images that have the same size after resizing share a forward pass.

        All images of a call share one caption. That is what makes batching correct: the package repeats text masks in
        the wrong order, which shows only between different captions (spec, C.1). Padding changes the boxes, so
        images of different sizes never share a batch.
        """
        pixels = [preprocess(image, self.short_side) for image in images]
        order = sorted(range(len(images)), key=lambda index: pixels[index].shape)
        places: dict[int, Localisation] = {}
        for _, group in groupby(order, key=lambda index: pixels[index].shape):
            members = list(group)
            answers = self._locate(torch.stack([pixels[index] for index in members]), tuple(descriptions))
            places.update(zip(members, answers, strict=True))
        return [places[index] for index in range(len(images))]

    @torch.inference_mode()
    def _locate(self, pixels: Float[Tensor, "batch 3 h w"], descriptions: tuple[str, ...]) -> list[Localisation]:
        caption = create_caption(descriptions, self._token_count)
        words = released_caption(descriptions) if self.rules == "released" else caption.text
        logits, boxes = ground(self.model, pixels, words)
        if self.rules == "filo":
            arrays = zip(logits.float().cpu().numpy(), boxes.float().cpu().numpy(), strict=True)
            return [select_boxes(np.asarray(one), np.asarray(box), caption, self.thresholds) for one, box in arrays]
        ids: list[int] = self.tokenizer(words)["input_ids"]

        def decode(positions: list[int]) -> str:
            return str(self.tokenizer.decode([ids[position] for position in positions]))

        pairs = zip(logits.float().cpu(), boxes.float().cpu(), strict=True)
        return [released_grounding(one, box, decode, descriptions).localisation() for one, box in pairs]

    def _token_count(self, text: str) -> int:
        return len(self.tokenizer.tokenize(text))


def ground(
    model: nn.Module, pixels: Float[Tensor, "batch 3 h w"], caption: str
) -> tuple[Float[Tensor, "batch queries 256"], Float[Tensor, "batch queries 4"]]:
    """Raw token logits and boxes (center form, unit coordinates) for one caption and images of one size."""
    device = next(model.parameters()).device
    with quiet():
        output = model(pixels.to(device), captions=[caption] * len(pixels))
    return output["pred_logits"], output["pred_boxes"]


def preprocess(image: Image.Image, short_side: int = SHORT_SIDE) -> Float[Tensor, "3 h w"]:
    """Short side to `short_side` (long side at most 1333), aspect kept, ImageNet normalisation."""
    resized = image.convert("RGB").resize(_target_size(*image.size, short_side), Image.Resampling.BILINEAR)
    array = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
    return (array - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def _target_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    low, high = min(width, height), max(width, height)
    if high / low * short_side > LONG_SIDE:
        short_side = max(round(LONG_SIDE * low / high), 1)
    if low == short_side:
        return width, height
    if width < height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side


@lru_cache
def file_id(path: Path) -> str:
    """SHA-256 of a file's bytes, computed once per process."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
