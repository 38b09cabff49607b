"""What FiLo's two stages train, and against which loss (FiLo section 3.5).

Main stage: contexts, meta nets and decoders, without the adapter. Adapter stage: the adapter alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from detector.model.filo import FiLo, Positions
from detector.model.image_tower import ImageFeatures
from detector.model.prompt_tree import PromptIds
from detector.train.config import TrainConfig
from detector.train.engine import Stage
from detector.train.losses import adapter_loss, segmentation_terms

PROMPTS = ("normal_prompt_learner.", "abnormal_prompt_learner.")
DECODERS = ("decoder_linear.", "decoder_cov.")
ADAPTER = ("adapter.",)


class Batch(NamedTuple):
    """Images with everything the losses need; pictures of one batch may be of different products."""

    pixels: Float[Tensor, "batch 3 size size"] | None
    """Normalised as CLIP wants; none when the features are given."""
    masks: Float[Tensor, "batch size size"]
    """1 where anomalous."""
    labels: Int[Tensor, " batch"]
    """1 when the image is anomalous."""
    prompts: Sequence[PromptIds]
    """One an image."""
    positions: Sequence[Positions] | None = None
    """Regions for the abnormal prompts of every image; none: all nine."""
    features: ImageFeatures | None = None
    """Frozen features, when they are known already."""


class MainObjective(nn.Module):
    """Sum over the maps of focal loss and the Dice losses of both channels."""

    def __init__(self, model: FiLo, *, rowwise: bool) -> None:
        super().__init__()
        self.model, self.rowwise = model, rowwise

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Terms `focal`, `dice_abnormal` and `dice_normal`, each summed over the maps."""
        features = _features(self.model, batch)
        text = self.model.encode_text(features.embedding, batch.prompts, batch.positions, adapt=False)
        maps = self.model.anomaly_maps(self.model.patch_embeddings(features), text)
        return segmentation_terms(maps, batch.masks, rowwise=self.rowwise)


class AdapterObjective(nn.Module):
    """Cross-entropy of the image's cosines with the normal and the abnormal vector, which do not learn here."""

    def __init__(self, model: FiLo) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The one term `classification`."""
        embedding = _features(self.model, batch).embedding
        with torch.no_grad():
            text = self.model.encode_text(embedding, batch.prompts, batch.positions)
        return {"classification": adapter_loss(self.model.similarity(embedding, text), batch.labels)}


def filo_stages(model: FiLo, config: TrainConfig) -> tuple[Stage, Stage]:
    """The two stages over one model."""
    main = dict(_named(model, PROMPTS, config.lr_prompt) + _named(model, DECODERS, config.lr_decoder))
    adapter = dict(_named(model, ADAPTER, config.lr_adapter))
    return (
        Stage("main", config.main_epochs, MainObjective(model, rowwise=config.dice == "row"), main),
        Stage("adapter", config.adapter_epochs, AdapterObjective(model), adapter),
    )


def _features(model: FiLo, batch: Batch) -> ImageFeatures:
    if batch.features is not None:
        return batch.features
    if batch.pixels is None:
        raise TypeError("a batch needs pixels or features")
    with torch.no_grad():
        return model.encode_image(batch.pixels)


def _named(model: FiLo, prefixes: tuple[str, ...], peak: float) -> list[tuple[str, float]]:
    return [(f"model.{name}", peak) for name, _ in model.named_parameters() if name.startswith(prefixes)]
