"""FiLo: compare every patch of an image with descriptions of what may be wrong with it (arXiv 2404.13671).

pixels -> image tower -+-> embedding -> adapter -> context shift -> text tower -> normal / abnormal vector
+-> patch tokens -> linear and interaction decoders -> cosine with both vectors -> maps
"""

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from detector.model.adapter import Adapter, unit
from detector.model.config import ModelConfig
from detector.model.decoders import InteractionDecoder, LinearDecoder
from detector.model.image_tower import ImageFeatures, ImageTower
from detector.model.prompt_learner import PromptLearner
from detector.model.prompt_tree import Ids, PromptIds, pack
from detector.model.text_tower import Rows, TextFeatures, TextTower, text_features

LOGIT_SCALE = 100.0
"""Fixed sharpness of the maps; CLIP's own learned scale is not used (as released)."""

Embedding = Float[Tensor, "batch embed"]
PatchEmbeddings = tuple[Float[Tensor, "batch patches embed"], ...]
Maps = tuple[Float[Tensor, "batch 2 height width"], ...]
Positions = Sequence[int]
"""Regions by index; none means all of them."""


class FiLoOutput(NamedTuple):
    """One pass over a batch."""

    maps: Maps
    """One map a decoder, channel 0 normal, 1 abnormal, softmaxed over both at image size."""
    similarity: Float[Tensor, "batch 2"]
    """Cosine of the image with the normal and the abnormal vector (times 1/sqrt 2 in `released`)."""
    text: TextFeatures
    patches: PatchEmbeddings


class FiLo(nn.Module):
    """The whole model: a frozen CLIP and the parts trained around it.

    Parameter names are those of the released checkpoints, with CLIP once, under `clip` and in open_clip's names.
    Precision: the towers and decoders run in the dtype of their weights, everything after them in fp32 or better.

    Args:
        clip: an open_clip `CLIP` of the size in `config`, already loaded; it is frozen.
        config: resolved configuration.
        start_token: id of the tokenizer's start-of-text token.
    """

    def __init__(self, clip: Any, config: ModelConfig, start_token: int) -> None:
        super().__init__()
        visual = clip.visual
        width, embed = visual.conv1.out_channels, visual.proj.shape[1]
        text_width = clip.token_embedding.embedding_dim
        self.config, self.start_token = config, start_token
        self.clip = clip.requires_grad_(False)
        self.image_tower = ImageTower(visual, config)
        self.text_tower = TextTower(clip)
        read = 2 * width if config.token_contrast else width
        self.decoder_linear = LinearDecoder(len(config.feature_levels), read, embed)
        self.decoder_cov = InteractionDecoder(len(config.conv_levels), width, embed)
        self.normal_prompt_learner = PromptLearner(config.context_tokens, embed, text_width)
        self.abnormal_prompt_learner = PromptLearner(config.context_tokens, embed, text_width)
        self.adapter = Adapter(embed)
        self.train(False)

    def train(self, mode: bool = True) -> "FiLo":
        """Training mode for the trained parts; CLIP is frozen and stays in evaluation mode."""
        super().train(mode)
        self.clip.eval()
        return self

    @property
    def dtype(self) -> torch.dtype:
        """Type of the towers' weights, which pixels are converted to."""
        weight: Tensor = self.clip.visual.conv1.weight
        return weight.dtype

    @property
    def _row_scale(self) -> float:
        """Length of a text vector: `released` divides both by their joint norm, which is sqrt 2."""
        return math.sqrt(0.5) if self.config.variant == "released" else 1.0

    def encode_image(self, pixels: Float[Tensor, "batch 3 size size"]) -> ImageFeatures:
        """Image embedding and the patch tokens every decoder reads, from normalised pixels."""
        features: ImageFeatures = self.image_tower(pixels.to(self.dtype))
        return features

    def patch_embeddings(self, features: ImageFeatures) -> PatchEmbeddings:
        """Unit-length patch embeddings of every decoder, linear ones first; they do not depend on the text."""
        return tuple(unit(level) for level in self.decode(features))

    def decode(self, features: ImageFeatures) -> PatchEmbeddings:
        """Patch embeddings as the decoders give them, not normalised."""
        return (*self.decoder_linear(features.linear_tokens), *self.decoder_cov(features.conv_tokens))

    def image_feature(self, image_embedding: Embedding, *, adapt: bool = True) -> Embedding:
        """Unit-length image feature, through the adapter unless `adapt` is off."""
        return unit(self.adapter(image_embedding) if adapt else image_embedding)

    def encode_text(
        self,
        image_embedding: Embedding,
        prompts: Sequence[PromptIds],
        positions: Sequence[Positions] | None = None,
        *,
        adapt: bool = True,
    ) -> TextFeatures:
        """The normal and the abnormal vector of every image (FiLo equations 1 to 4).

        Args:
            image_embedding: `ImageFeatures.embedding`; it shifts the learned context.
            prompts: one per image, or a single one for all.
            positions: regions the abnormal prompts name, for every image; none (or an empty one) averages over all.
            adapt: whether the image feature goes through the adapter first.
        """
        return text_features(self.encode_prompts(self.image_feature(image_embedding, adapt=adapt), prompts, positions))

    def encode_prompts(
        self,
        image_feature: Embedding,
        prompts: Sequence[PromptIds],
        positions: Sequence[Positions] | None = None,
    ) -> list[Rows]:
        """Text features of every prompt of every image, not normalised: normal, and abnormal by state and region."""
        images = len(image_feature)
        prompts = list(prompts) * images if len(prompts) == 1 else prompts
        regions = positions if positions is not None else [()] * images
        normal, abnormal = self.contexts(image_feature)
        alike = images > 1 and not torch.is_grad_enabled() and _alike(prompts, regions, (normal, abnormal))
        distinct = 1 if alike else images
        sides = []
        for index in range(distinct):
            ids = prompts[index]
            sides += [(ids.normal, normal[index]), (ids.at(regions[index]), abnormal[index])]
        read = self.read(sides)
        rows = [
            (read_normal, torch.unflatten(read_abnormal, 0, (len(ids.abnormal), -1)))
            for read_normal, read_abnormal, ids in zip(read[::2], read[1::2], prompts[:distinct], strict=True)
        ]
        return rows * (images // distinct)

    def read(
        self, sides: Sequence[tuple[Sequence[Ids], Float[Tensor, "context width"]]]
    ) -> list[Float[Tensor, "_ embed"]]:
        """Features of prompts, not normalised, in one pass of the text tower.

        Args:
            sides: prompts, and the learned context that all of them stand in.
        """
        trees, contexts, sizes = [], [], []
        for prompts, context in sides:
            packed = pack(prompts, self.start_token, self.config.context_tokens)
            trees += packed
            contexts += [context] * len(packed)
            sizes.append(len(packed))
        encoded = iter(self.text_tower(trees, torch.stack(contexts)))
        return [torch.cat(list(islice(encoded, size))) for size in sizes]

    def contexts(self, image_feature: Embedding) -> tuple[Tensor, Tensor]:
        """Normal and abnormal context tokens of every image, from its unit-length feature."""
        feature = image_feature.to(self.dtype)
        return self.normal_prompt_learner(feature), self.abnormal_prompt_learner(feature)

    def similarity(
        self, image_embedding: Embedding, text: TextFeatures, *, adapt: bool = True
    ) -> Float[Tensor, "batch 2"]:
        """Cosine of every image with its normal and its abnormal vector, scaled as the variant has it."""
        feature = self.image_feature(image_embedding, adapt=adapt)
        return torch.stack([(feature * row).sum(-1) for row in (text.normal, text.abnormal)], dim=-1) * self._row_scale

    def anomaly_maps(self, patch_embeddings: PatchEmbeddings, text: TextFeatures) -> Maps:
        """One map a decoder, enlarged to image size before the softmax (FiLo equation 7).

        The softmax over two channels is the sigmoid of their difference, so that one channel is enlarged, not two.
        """
        towards = (text.abnormal - text.normal) * (LOGIT_SCALE * self._row_scale)
        size = (self.config.image_size, self.config.image_size)
        with torch.autocast(towards.device.type, enabled=False):
            logits = torch.stack([(level @ towards[..., None])[..., 0] for level in patch_embeddings], dim=1)
            side = math.isqrt(logits.shape[2])
            grid = torch.unflatten(logits, 2, (side, side))
            abnormal = F.interpolate(grid, size=size, mode="bilinear", align_corners=True).sigmoid()
        return tuple(torch.stack([1 - level, level], dim=1) for level in abnormal.unbind(1))

    def forward(
        self,
        pixels: Float[Tensor, "batch 3 size size"],
        prompts: Sequence[PromptIds],
        positions: Sequence[Positions] | None = None,
        *,
        adapt: bool = True,
    ) -> FiLoOutput:
        """Everything at once; see the single steps for what the arguments mean."""
        features = self.encode_image(pixels)
        text = self.encode_text(features.embedding, prompts, positions, adapt=adapt)
        patches = self.patch_embeddings(features)
        maps = self.anomaly_maps(patches, text)
        return FiLoOutput(maps, self.similarity(features.embedding, text, adapt=adapt), text, patches)


def _alike(prompts: Sequence[PromptIds], regions: Sequence[Positions], contexts: Sequence[Tensor]) -> bool:
    """Whether every image reads the same words, in the same contexts: its meta nets answer zero."""
    words = all(ids is prompts[0] for ids in prompts) and all(at == regions[0] for at in regions)
    return words and all(torch.equal(context, context[:1].expand_as(context)) for context in contexts)
