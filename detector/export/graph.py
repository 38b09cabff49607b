"""Everything `detect` does to a picture, as one module that exporters can trace: pixels in, score and map out.

It repeats in traceable form what `detector.images.tensors`, `detector.scoring.predict` and
`detector.scoring.text_reader` do. Tests hold it to them; what cannot be traced (Grounding DINO, windows, the size limit
while loading) is not in it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop
from torch.nn.utils.rnn import pad_sequence

from detector.export.pixels import Pixels
from detector.model.adapter import unit
from detector.model.filo import FiLo
from detector.model.prompt_tree import pack
from detector.model.text_tower import TextFeatures, tree_masks, with_contexts
from detector.scoring import maps
from detector.scoring.predict import Encoded, ScoringSettings, combined_map, encode
from detector.scoring.prompts import PromptSet

Rows = tuple[Float[Tensor, "batch normal embed"], Float[Tensor, "batch states regions embed"]]
"""Features of every prompt, not normalised; a batch of one stands for every image."""


class GraphOutput(NamedTuple):
    """What an exported file gives, in this order."""

    score: Float[Tensor, " batch"]
    map: Float[Tensor, "batch size size"]
    similarity: Float[Tensor, "batch descriptions"]
    """In the order of the description file, not nearest first."""
    region: Int[Tensor, " batch"]
    """Index of the region that the text names, or -1 where it is averaged over all of them."""


class FixedText(nn.Module):
    """Features of prompts that are the same for every image."""

    normal: Tensor
    abnormal: Tensor

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.register_buffer("normal", rows[0].detach().clone())
        self.register_buffer("abnormal", rows[1].detach().clone())

    def forward(self, embedding: Float[Tensor, "batch embed"]) -> Rows:
        """The same rows for every batch."""
        del embedding
        return self.normal, self.abnormal


class ReadingText(nn.Module):
    """The text tower over one prompt set, for models that shift the learned context with every image."""

    words: Tensor
    places: Tensor
    visible: Tensor
    ends: Tensor

    def __init__(self, model: FiLo, prompts: PromptSet) -> None:
        super().__init__()
        self.model = model
        states = [prompts.normal, *prompts.abnormal]
        trees = [pack(state, model.start_token, model.config.context_tokens) for state in states]
        flat = [tree for each in trees for tree in each]
        tokens = pad_sequence([tree.tokens for tree in flat], batch_first=True)
        depth = pad_sequence([tree.depth for tree in flat], batch_first=True)
        with torch.no_grad():
            words, places = model.text_tower.embed_words(tokens, depth)
        self.register_buffer("words", words.clone())
        self.register_buffer("places", places.clone())
        self.register_buffer("visible", tree_masks(flat, tokens.shape[1]))
        starts = [index * tokens.shape[1] for index in range(len(flat))]
        self.register_buffer("ends", torch.cat([tree.ends + at for tree, at in zip(flat, starts, strict=True)]))
        self.normal_trees, self.normal_states = len(trees[0]), len(prompts.normal)
        self.states = len(prompts.abnormal)

    def forward(self, embedding: Float[Tensor, "batch embed"]) -> Rows:
        """Rows of every image."""
        normal, abnormal = self.model.contexts(self.model.image_feature(embedding))
        images, (trees, nodes, width) = embedding.shape[0], self.words.shape
        counts = ((normal, self.normal_trees), (abnormal, trees - self.normal_trees))
        contexts = torch.cat([side[:, None].expand(-1, count, -1, -1) for side, count in counts], dim=1)
        words = self.words.expand(images, -1, -1, -1).flatten(0, 1)
        hidden = with_contexts(words, contexts.flatten(0, 1)) + self.places.repeat(images, 1, 1)
        mask = self.visible.expand(images, -1, -1, -1, -1).flatten(0, 1)
        read = self.model.text_tower.blocks(hidden, mask).reshape(images, trees * nodes, width)
        ends = read[:, self.ends].flatten(0, 1)
        features = torch.unflatten(self.model.text_tower.project(ends), 0, (images, -1))
        return features[:, : self.normal_states], torch.unflatten(
            features[:, self.normal_states :], 1, (self.states, -1)
        )


class GraphModel(nn.Module):
    """A model, its words and its settings: bytes to what `detect` says.

    Args:
        model: folded, on the CPU, in fp32.
        prompts: of one product.
        settings: how maps become scores; the localizer is `none` or `self`.
        text: where the features of the prompts come from.
    """

    def __init__(
        self, model: FiLo, prompts: PromptSet, settings: ScoringSettings, text: FixedText | ReadingText
    ) -> None:
        super().__init__()
        self.model, self.settings, self.text = model, settings, text
        self.pixels = Pixels(model.config)
        self.count = len(prompts.anomalies)

    def forward(self, image: UInt8[Tensor, "batch height width 3"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `detector.scoring.predict.predict`, for pictures of one size; the fields of `GraphOutput`.

        A plain tuple: a torch.export program cannot be stored with a named one.
        """
        encoded = encode(self.model, self.pixels(image))
        rows = self.text(encoded.embedding)
        words = averaged(rows, image.shape[0])
        region = torch.full_like(image[:, 0, 0, 0], -1, dtype=torch.int64)
        if self.settings.localizer == "self" and self.settings.position:
            region = peak_region(self._map(encoded, words.features))
            words = at_region(rows, words, region)
        anomaly_map = self._map(encoded, words.features)
        score = self._score(encoded, words.features, anomaly_map)
        return score, anomaly_map, self._similarity(encoded, words.states, anomaly_map), region

    def _map(self, encoded: Encoded, text: TextFeatures) -> Float[Tensor, "batch size size"]:
        return combined_map(self.model.anomaly_maps(encoded.patches, text), self.settings)

    def _score(self, encoded: Encoded, text: TextFeatures, anomaly_map: Tensor) -> Float[Tensor, " batch"]:
        if self.settings.image_score == "map":
            return anomaly_map.amax((-2, -1))
        similarity = self.model.similarity(encoded.embedding, text)
        return (
            similarity[:, 1] if self.settings.image_score == "similarity" else maps.image_score(similarity, anomaly_map)
        )

    def _similarity(self, encoded: Encoded, states: Tensor, anomaly_map: Tensor) -> Float[Tensor, "batch descriptions"]:
        """Cosine of every description with the patch under the highest point of the map."""
        size, count = self.model.config.image_size, self.count
        highest = anomaly_map.flatten(1).argmax(1)
        states = states[:, :count]
        near = torch.zeros_like(states[..., 0])
        for level in encoded.patches:
            side = round(level.shape[1] ** 0.5)
            row, column = (
                torch.div(place * side, size, rounding_mode="floor").clamp(max=side - 1)
                for place in (torch.div(highest, size, rounding_mode="floor"), highest % size)
            )
            at = (row * side + column)[:, None, None].expand(-1, 1, level.shape[2])
            near = near + (states @ level.gather(1, at).transpose(1, 2))[..., 0] / len(encoded.patches)
        return near


class ReadWords(NamedTuple):
    """What the prompts of every image mean."""

    features: TextFeatures
    states: Float[Tensor, "batch states embed"]


def averaged(rows: Rows, images: int) -> ReadWords:
    """Over all regions."""
    normal, each = unit(unit(rows[0]).mean(1)), unit(rows[1])
    abnormal, states = unit(each.mean((1, 2))), unit(each.mean(2))
    normal, abnormal, states = (part.expand(images, *part.shape[1:]) for part in (normal, abnormal, states))
    return ReadWords(TextFeatures(normal, abnormal, ()), states)


def at_region(rows: Rows, everywhere: ReadWords, region: Int[Tensor, " batch"]) -> ReadWords:
    """With the region of each image named; averaged over all of them where there is none."""
    named = (region >= 0)[:, None]
    index = region.clamp(min=0)[:, None, None, None]
    wide = unit(rows[1]).expand(region.shape[0], -1, -1, -1)
    states = wide.gather(2, index.expand(-1, wide.shape[1], 1, wide.shape[3]))[:, :, 0]
    abnormal = torch.where(named, unit(states.mean(1)), everywhere.features.abnormal)
    features = TextFeatures(everywhere.features.normal, abnormal, ())
    return ReadWords(features, torch.where(named[..., None], unit(states), everywhere.states))


def peak_region(anomaly_map: Float[Tensor, "batch size size"]) -> Int[Tensor, " batch"]:
    """The region that `detector.scoring.predict.peak` finds; -1 for a flat map."""
    top, mean = anomaly_map.amax((1, 2)), anomaly_map.mean((1, 2))
    area = _area_around_peak(anomaly_map, anomaly_map >= ((top + mean) / 2)[:, None, None])
    thirds = (_third(area.any(1)), _third(area.any(2)))
    return torch.where(top > mean, 3 * thirds[1] + thirds[0], -1)


def _third(touched: Tensor) -> Int[Tensor, " batch"]:
    """Third of the side that the middle of a span lies in; numbers as `region_at` gets them, to the bit."""
    size = touched.shape[1]
    first, last = touched.int().argmax(1), size - touched.int().flip(1).argmax(1)
    middle = (first.double() / size + last.double() / size) / 2
    return (middle * 3).floor().long().clamp(0, 2)


def _area_around_peak(anomaly_map: Tensor, above: Tensor) -> Tensor:
    """The four-connected area of `above` that holds the highest point.

    Flood fill, a whole run of a row or column at a time: runs are numbered by counting the gaps before them, and a run
    is reached when any of its pixels is. It ends when nothing new is reached, after as many rounds as the area turns.
    """
    batch, size = anomaly_map.shape[0], anomaly_map.shape[1]
    gaps = (~above).long()
    lines = torch.arange(size) * (size + 1)
    runs = torch.stack([gaps.cumsum(2) + lines[:, None], gaps.cumsum(1) + lines[None, :]]).flatten(2)
    inside = above.flatten(1).float()
    start = torch.zeros_like(inside).scatter(1, anomaly_map.flatten(1).argmax(1, keepdim=True), 1.0)

    def grown(reached: Tensor) -> Tensor:
        for ids in (runs[0], runs[1]):
            touched = torch.zeros_like(reached[:, :1]).repeat(1, size * (size + 1))
            reached = touched.scatter_reduce(1, ids, reached, "amax").gather(1, ids) * inside
        return reached

    def more(reached: Tensor, before: Tensor) -> Tensor:
        return (reached != before).any()

    def step(reached: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        del before
        return grown(reached), reached.clone()

    reached, before = grown(start), start
    if torch.compiler.is_exporting():
        reached, _ = while_loop(more, step, (reached, before))  # type: ignore[no-untyped-call]
    else:
        while more(reached, before):
            reached, before = step(reached, before)
    return reached.reshape(batch, size, size) > 0
