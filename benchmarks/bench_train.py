"""Does training on some products help on a product it never saw? Real images, a small seeded CLIP, one CPU.

    python -m benchmarks.bench_train --data DATA --out runs/unseen

DATA holds data sets in the MVTec AD layout (one folder each). The model is trained on the categories of
TRAIN and judged, before and after, on images of UNSEEN; intervals are paired bootstraps over images.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from descriptions.files import atomic_write
from descriptions.schema import Anomaly, DescriptionFile
from detector.build import build_model
from detector.data import Sample, open_data, read_mask
from detector.images import load_image
from detector.metrics import pixel_metrics
from detector.model.config import ModelConfig
from detector.preprocess import to_pixels
from detector.prompts import build_prompts
from detector.train.config import TrainConfig
from detector.train.session import Material, summary, train

ARCHITECTURE = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 128, "layers": 6, "width": 128, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}
MODEL = ModelConfig(
    backbone="small", architecture=ARCHITECTURE, image_size=128, feature_levels=(1, 2, 4, 6), single_path_blocks=1
)
TRAIN = {
    "magnetic_tile/magnetic_tile": ("magnetic tile", ("blowhole", "thin crack", "frayed edge", "uneven grey level")),
    "steel/steel": ("steel strip", ("dark inclusion", "bright patch", "long scratch")),
    "crackforest/road": ("road", ("thin dark crack", "branching crack")),
}
UNSEEN = {
    "leather/leather_custom": ("leather", ("cut", "small hole", "scratched line", "wrinkle")),
    "mvtec/transistor": ("transistor", ("bent lead", "cut lead", "damaged case", "misplaced part")),
}
CONFIG = TrainConfig(
    main_epochs=6,
    adapter_epochs=1,
    lr_prompt=1e-3,
    lr_decoder=1e-3,
    mosaic_rate=0,
    flip=False,
    photometric=0,
    validate_every=50,
)
RESAMPLES = 500


def material(root: Path, sets: dict, limit: int) -> Material:
    """At most `limit` good and `limit` defective images of every category, spread evenly over its files."""
    samples: list[Sample] = []
    files = {}
    for folder, (name, texts) in sets.items():
        found = open_data(root / folder).select(split="test")
        for defective in (False, True):
            group = [s for s in found if s.defective == defective]
            samples += [group[i] for i in np.unique(np.linspace(0, len(group) - 1, min(limit, len(group))).astype(int))]
        entries = tuple(Anomaly(id=f"a{i}", text=text) for i, text in enumerate(texts))
        category = found[0].category
        files[category] = DescriptionFile(category=category, object_name=name, anomalies=entries)
    return Material(tuple(samples), files, "test")


@torch.no_grad()
def judge(model, samples, file) -> tuple[np.ndarray, np.ndarray]:
    """Mean map of every image and its mask, at the resolution of the model."""
    prompts, maps, masks = build_prompts(file), [], []
    for sample in samples:
        image = load_image(sample.image)
        output = model(to_pixels(image, model.config)[None], [prompts], adapt=False)
        maps.append(torch.stack([level[0, 1] for level in output.maps]).mean(0).numpy())
        masks.append(read_mask(sample.mask, image.size, model.config.image_size))
    return np.stack(maps), np.stack(masks)


def scores(maps, masks) -> dict[str, float]:
    values = pixel_metrics(list(maps), list(masks)).values
    return {name: values[name] for name in ("pixel_auroc", "pixel_ap", "aupro")}


def gains(before, after, masks) -> dict[str, tuple[float, float]]:
    """95 % interval of what training added, resampling images; maps thinned fourfold a side, which is unbiased."""
    rng, thin = np.random.default_rng(0), (slice(None), slice(None, None, 4), slice(None, None, 4))
    before, after, masks = before[thin], after[thin], masks[thin]
    drawn = {"pixel_auroc": [], "pixel_ap": []}
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(masks), len(masks))
        if not masks[chosen].any():
            continue
        old, new = (scores(maps[chosen], masks[chosen]) for maps in (before, after))
        for name, values in drawn.items():
            values.append(new[name] - old[name])
    return {name: tuple(np.percentile(values, [2.5, 97.5]).tolist()) for name, values in drawn.items()}


def build():
    return build_model(MODEL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=100, help="images of each label and category")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    learnt, judged = material(options.data, TRAIN, options.limit), material(options.data, UNSEEN, options.limit)

    torch.manual_seed(CONFIG.seed)
    untrained, began = build(), time.perf_counter()
    model = train(build, learnt, CONFIG, options.out, resume=options.resume, listener=tell).model
    record = {"run": summary(learnt, CONFIG), "seconds": time.perf_counter() - began, "unseen": {}}
    for category, file in judged.descriptions.items():
        chosen = [s for s in judged.samples if s.category == category]
        (before, masks), (after, _) = (judge(each, chosen, file) for each in (untrained, model))
        record["unseen"][category] = {
            "images": len(chosen),
            "untrained": scores(before, masks),
            "trained": scores(after, masks),
            "gain_95": gains(before, after, masks),
        }
        print(category, json.dumps(record["unseen"][category]))
    atomic_write(options.out / "unseen.json", json.dumps(record, indent=2))


def tell(report) -> None:
    if report.step % 50 == 0:
        print(
            f"{report.stage} {report.step}/{report.steps} loss {report.loss:.3f} {report.validation_loss}", flush=True
        )


if __name__ == "__main__":
    main()
