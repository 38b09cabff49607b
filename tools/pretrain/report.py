"""Measures `mini` on the development sets: `python -m tools.pretrain.report MODEL --data DIR`.

MODEL is a training checkpoint or the exported folder. Every row of the table is one way to score the same images.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from descriptions.schema import ABNORMAL_STATES, NORMAL_STATES
from detector.build import build_model
from detector.checkpoint import load_checkpoint
from detector.maps import heat_map, image_score
from detector.metrics import image_metrics, pixel_metrics
from detector.model.filo import FiLo
from detector.model.vision import ImageFeatures
from detector.preprocess import to_mask, to_pixels
from detector.prompts import Description, PromptSet, prompt_set
from tools.pretrain import export

WORDS = {
    "magnetic_tile/magnetic_tile": (
        "magnetic tile",
        ("small dark round hole", "thin dark crack", "chipped edge", "rough worn area", "uneven dark shading"),
    ),
    "mvtec/transistor": (
        "transistor",
        ("bent lead", "cut off lead", "cracked case", "shifted part", "scratched surface"),
    ),
}
"""Development category to its object name and hand-written descriptions."""
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


def prompts(subject: str, texts: Sequence[str]) -> PromptSet:
    """Prompts of the generic states and the given descriptions."""
    return prompt_set(subject, NORMAL_STATES, [Description(t, t) for t in texts], ABNORMAL_STATES)


def filo(words: PromptSet, *, decoders: slice = slice(None), two_passes: bool = False) -> Way:
    """FiLo's own scoring; in two passes the first map's peak gives the position."""

    def score(model: FiLo, features: ImageFeatures) -> Scores:
        patches = model.patch_embeddings(features)[decoders]
        text = model.encode_text(features.embedding, [words])
        heat = heat_map(model.anomaly_maps(patches, text))
        if two_passes:
            text = model.encode_text(features.embedding, [words], [[_peak(h)] for h in heat])
            heat = heat_map(model.anomaly_maps(patches, text))
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


def evaluate(model: FiLo, folder: Path, ways: dict[str, Way], every: int = 1) -> dict[str, dict[str, float | None]]:
    """Metrics of every way over one pass through the images, with 95 % bootstrap intervals of the image AUROC."""
    image: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ways}
    heat: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ways}
    masks: list[NDArray[np.bool_]] = []
    labels: list[int] = []
    with torch.no_grad():
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
) -> dict[str, float | None]:
    found = image_metrics(scores, labels).values | pixel_metrics(heat, masks).values
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(labels), size=len(labels)) for _ in range(500)]
    image = [image_metrics(scores[d], labels[d]).values["image_auroc"] for d in draws]
    small_heat, small_mask = [h[::8, ::8] for h in heat], [m[::8, ::8] for m in masks]
    pixel = [
        pixel_metrics([small_heat[i] for i in d], [small_mask[i] for i in d]).values["pixel_auroc"] for d in draws[:50]
    ]
    for name, values in (("image_auroc", image), ("pixel_auroc", pixel)):
        low, high = np.percentile([v for v in values if v is not None], [2.5, 97.5])
        found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def ways(subject: str, texts: Sequence[str], linear: int) -> dict[str, Way]:
    """Every row of the table for one category; the first `linear` decoders are the linear ones."""
    detailed, generic = prompts(subject, texts), prompts(subject, ())
    return {
        "FiLo, detailed descriptions": filo(detailed),
        "... and the position from a first pass": filo(detailed, two_passes=True),
        "... without the interaction module": filo(detailed, decoders=slice(linear)),
        "... with the interaction module alone": filo(detailed, decoders=slice(linear, None)),
        "generic words only": filo(generic),
        "WinCLIP-style, no decoders": plain_clip(generic),
        "no text: distance to the image's own mean": own_mean,
    }


def load(path: Path) -> FiLo:
    """A model from a training checkpoint or an exported folder."""
    if path.suffix == ".pt":
        return export.load(path)
    return load_checkpoint(path / export.WEIGHTS)


def table(results: dict[str, dict[str, float | None]]) -> str:
    """Markdown: one row a way, AUROCs with their intervals."""
    lines = ["| way | image AUROC | image AP | pixel AUROC | pixel AP | AUPRO |", "|---|---|---|---|---|---|"]
    for name, m in results.items():
        spans = {k: f"{m[k]:.3f} [{m[k + '_low']:.3f}, {m[k + '_high']:.3f}]" for k in ("image_auroc", "pixel_auroc")}
        rest = {k: f"{m[k]:.3f}" for k in ("image_ap", "pixel_ap", "aupro")}
        cells = (spans["image_auroc"], rest["image_ap"], spans["pixel_auroc"], rest["pixel_ap"], rest["aupro"])
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="measure every n-th image only")
    args = parser.parse_args()
    model = load(args.model)
    torch.manual_seed(0)
    blank = build_model(export.config())
    for category, (subject, texts) in WORDS.items():
        rows = evaluate(model, args.data / category, ways(subject, texts, len(model.config.feature_levels)), args.every)
        rows |= evaluate(
            blank, args.data / category, {"the same model, random weights": filo(prompts(subject, texts))}, args.every
        )
        print(f"### {category}\n\n{table(rows)}\n", flush=True)


if __name__ == "__main__":
    main()
