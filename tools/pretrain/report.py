"""Measures `mini` on the development sets: `python -m tools.pretrain.report MODEL --data DIR`.

MODEL is a training checkpoint or the exported folder. Every row of the table is one way to score the same images.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from descriptions.format.schema import DescriptionFile
from descriptions.store import PACKAGED, Store
from detector.images.tensors import to_mask, to_pixels
from detector.metrics import image_metrics, pixel_metrics
from detector.model.filo import FiLo
from detector.model.image_tower import ImageFeatures
from detector.scoring.maps import image_score, mean_map
from detector.scoring.prompts import PromptSet, create_prompts, prompt_set
from detector.weights.checkpoint import load_checkpoint
from detector.weights.factory import create_model
from tools.pretrain import export

CATEGORIES = {"magnetic_tile/magnetic_tile": "magnetic_tile", "mvtec/transistor": "transistor"}
"""Development set to the category whose first version in the library describes it; training never read that."""
GENERIC = "generic words only"
DRAWS = 300
"""Bootstrap samples over images, the same for every row, so that differences are paired."""
STRIDE = 6
"""The bootstrap looks at every n-th row and column of the maps; the figures themselves at all."""
BATCH = 16


class Batch(NamedTuple):
    """Encoded images with what is true of them."""

    features: ImageFeatures
    masks: NDArray[np.bool_]
    labels: list[int]


class Scores(NamedTuple):
    """What one way of scoring says of a batch."""

    images: Tensor
    heat: Tensor


Way = Callable[[FiLo, ImageFeatures], Scores]


class Measured(NamedTuple):
    """Figures of a row."""

    values: dict[str, float | None]
    """By metric, over all images and pixels."""
    draws: dict[str, NDArray[np.float64]]
    """Image and pixel AUROC of every bootstrap sample."""


def generic(words: DescriptionFile) -> PromptSet:
    """The category's own states without any description."""
    return prompt_set(words.object_name, words.normal, [], words.abnormal)


def filo(words: PromptSet, *, decoders: slice = slice(None), two_passes: bool = False) -> Way:
    """FiLo's own scoring; in two passes the first map's peak gives the position."""

    def score(model: FiLo, features: ImageFeatures) -> Scores:
        patches = model.patch_embeddings(features)[decoders]
        text = model.encode_text(features.embedding, [words])
        heat = mean_map(model.anomaly_maps(patches, text))
        if two_passes:
            text = model.encode_text(features.embedding, [words], [[_peak(h)] for h in heat])
            heat = mean_map(model.anomaly_maps(patches, text))
        return Scores(image_score(model.similarity(features.embedding, text), heat), heat)

    return score


def _peak(heat: Tensor) -> int:
    side = heat.shape[-1]
    y, x = divmod(int(heat.argmax()), side)
    return 3 * (3 * y // side) + 3 * x // side


def own_mean(model: FiLo, features: ImageFeatures) -> Scores:
    """No text at all: how far each patch lies from the image's mean patch."""
    tokens = features.linear_tokens[-1]
    far = 1 - F.cosine_similarity(tokens, tokens.mean(1, keepdim=True), dim=-1)
    heat = _grid(model, far)
    return Scores(heat.flatten(1).amax(1), heat)


def plain_clip(words: PromptSet) -> Way:
    """WinCLIP-style: the last block's patches in CLIP's joint space against plain state prompts, no decoder."""

    def score(model: FiLo, features: ImageFeatures) -> Scores:
        visual = model.clip.visual
        patches = F.normalize(visual.ln_post(features.linear_tokens[-1]) @ visual.proj, dim=-1)
        text = model.encode_text(features.embedding, [words], adapt=False)
        contrast = (patches * (text.abnormal - text.normal)[:, None]).sum(-1)
        heat = _grid(model, (contrast * 20).sigmoid())
        image = model.similarity(features.embedding, text, adapt=False)
        return Scores((image[:, 1] - image[:, 0] + heat.flatten(1).amax(1)) / 2, heat)

    return score


def _grid(model: FiLo, values: Tensor) -> Tensor:
    side = int(values.shape[1] ** 0.5)
    size = (model.config.image_size, model.config.image_size)
    return F.interpolate(values.view(-1, 1, side, side), size, mode="bilinear", align_corners=True)[:, 0]


def batches(model: FiLo, folder: Path, every: int) -> Iterator[Batch]:
    """Every n-th test image of a category, encoded."""
    paths = sorted(folder.glob("test/*/*.jpg"))[::every]
    for start in range(0, len(paths), BATCH):
        part = paths[start : start + BATCH]
        pixels = torch.stack([to_pixels(Image.open(p), model.config) for p in part])
        masks = [_mask(folder, p, model.config.image_size) for p in part]
        yield Batch(model.encode_image(pixels), np.stack(masks), [int(p.parent.name != "good") for p in part])


def _mask(folder: Path, image: Path, size: int) -> NDArray[np.bool_]:
    path = folder / "ground_truth" / image.parent.name / f"{image.stem}_mask.png"
    if not path.is_file():
        return np.zeros((size, size), bool)
    return to_mask(Image.open(path), size).numpy().astype(bool)


@torch.no_grad()
def evaluate(model: FiLo, folder: Path, ways: dict[str, Way], every: int = 1) -> dict[str, Measured]:
    """Figures of every way over one pass through the images."""
    image: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ways}
    heat: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ways}
    masks: list[NDArray[np.bool_]] = []
    labels: list[int] = []
    for batch in batches(model, folder, every):
        masks += list(batch.masks)
        labels += batch.labels
        for name, way in ways.items():
            scores = way(model, batch.features)
            image[name].append(scores.images.numpy())
            heat[name] += list(scores.heat.numpy())
    truth = np.array(labels)
    return {name: _measure(np.concatenate(image[name]), heat[name], masks, truth) for name in ways}


def _measure(
    scores: NDArray[np.float32],
    heat: list[NDArray[np.float32]],
    masks: list[NDArray[np.bool_]],
    labels: NDArray[np.int_],
) -> Measured:
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(labels), size=len(labels)) for _ in range(DRAWS)]
    small = np.stack([h[::STRIDE, ::STRIDE] for h in heat])
    truth = np.stack([m[::STRIDE, ::STRIDE] for m in masks])
    found = {
        "image_auroc": [image_metrics(scores[d], labels[d]).values["image_auroc"] for d in draws],
        "pixel_auroc": [image_metrics(small[d].ravel(), truth[d].ravel()).values["image_auroc"] for d in draws],
    }
    values = image_metrics(scores, labels).values | pixel_metrics(heat, masks).values
    return Measured(values, {name: np.array(drawn, dtype=float) for name, drawn in found.items()})


def ways(words: DescriptionFile, linear: int) -> dict[str, Way]:
    """Every row of the table for one category; the first `linear` decoders are the linear ones."""
    detailed = create_prompts(words)
    return {
        "FiLo, detailed descriptions": filo(detailed),
        "... and the position from a first pass": filo(detailed, two_passes=True),
        "... without the interaction module": filo(detailed, decoders=slice(linear)),
        "... with the interaction module alone": filo(detailed, decoders=slice(linear, None)),
        GENERIC: filo(generic(words)),
        "WinCLIP-style, no decoders": plain_clip(generic(words)),
        "no text: distance to the image's own mean": own_mean,
    }


def load(path: Path) -> FiLo:
    """A model from a training checkpoint or an exported folder."""
    if path.suffix == ".pt":
        return export.load(path)
    return load_checkpoint(path / export.WEIGHTS)


def table(rows: dict[str, Measured]) -> str:
    """Markdown: one row a way; AUROCs with their intervals, and the paired difference to generic words."""
    lines = ["| way | image AUROC | over generic | pixel AUROC | over generic | pixel AP | AUPRO |", "|---" * 7 + "|"]
    for name, row in rows.items():
        cells = [name]
        for metric in ("image_auroc", "pixel_auroc"):
            cells.append(f"{row.values[metric]:.3f} [{_span(row.draws[metric])}]")
            cells.append(_span(row.draws[metric] - rows[GENERIC].draws[metric], "+.3f") if name != GENERIC else "")
        cells += [f"{row.values[metric]:.3f}" for metric in ("pixel_ap", "aupro")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _span(draws: NDArray[np.float64], style: str = ".3f") -> str:
    """The 95 % interval of bootstrap samples."""
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return f"{low:{style}}, {high:{style}}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="measure every n-th image only")
    args = parser.parse_args()
    model = load(args.model)
    torch.manual_seed(0)
    blank = create_model(model.config)
    for folder, category in CATEGORIES.items():
        words = Store(PACKAGED).load(f"{category}@1")
        rows = evaluate(model, args.data / folder, ways(words, len(model.config.feature_levels)), args.every)
        random = {"the same model, random weights": filo(create_prompts(words))}
        rows |= evaluate(blank, args.data / folder, random, args.every)
        print(f"### {folder}\n\n{table(rows)}\n", flush=True)


if __name__ == "__main__":
    main()
