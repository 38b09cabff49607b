"""Does training on some products help on a product it never saw? Real images, frozen CLIP of a preset, one CPU.

    python -m benchmarks.bench_train --data DATA --out runs/unseen     # about ten minutes of one core with `mini`

DATA holds data sets in the MVTec AD layout, one folder each. Contexts, decoders and adapter start afresh on the frozen
towers of the preset, learn from the categories of TRAIN, and are judged, untrained and trained, on images of UNSEEN.
Intervals are those of `detector eval`: a bootstrap over images, paired. The record is `unseen.json` in --out.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from descriptions.files import atomic_write
from descriptions.schema import Anomaly, DescriptionFile
from detector.build import build_model
from detector.cache import fingerprint
from detector.data import Sample, open_data, read_mask
from detector.evaluate.resample import COARSE_BINS, draw_images, interval, over_pixels
from detector.images import load_image
from detector.maps import heat_map
from detector.metrics import Histogram, count_pixels, pixel_metrics, pixel_metrics_binned
from detector.model.filo import FiLo
from detector.preprocess import to_pixels
from detector.presets import load_preset
from detector.prompts import build_prompts
from detector.train.config import TrainConfig
from detector.train.log import Report
from detector.train.session import Material, summary, train

TRAIN = {
    "steel/steel": ("steel strip", ("dark inclusion", "bright patch", "long scratch")),
    "leather/leather_custom": ("leather", ("cut", "small hole", "scratched line", "wrinkle")),
    "crackforest/road": ("road", ("thin dark crack", "branching crack")),
}
UNSEEN = {
    "magnetic_tile/magnetic_tile": ("magnetic tile", ("blowhole", "thin crack", "frayed edge", "uneven grey level")),
    "mvtec/transistor": ("transistor", ("bent lead", "cut lead", "damaged case", "misplaced part")),
}
CONFIG = TrainConfig(
    main_epochs=15, adapter_epochs=0, batch_size=8, lr_prompt=1e-3, lr_decoder=1e-3, mosaic_rate=0, flip=False,
    photometric=0, validate_every=50,
)  # fmt: skip
NAMES = ("pixel_auroc", "pixel_ap", "aupro")
DRAWS = 1000


def material(root: Path, sets: dict[str, tuple[str, tuple[str, ...]]], limit: int) -> Material:
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


def fresh(preset: str) -> FiLo:
    """The preset's frozen CLIP with FiLo's own parts as they are before any training."""
    ready = load_preset(preset)
    model = build_model(ready.config)
    model.clip.load_state_dict(ready.clip.state_dict())
    return model


@torch.no_grad()
def judge(model: FiLo, samples: list[Sample], file: DescriptionFile) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Heat map and mask of every image, at the resolution of the model."""
    prompts, heats, masks = build_prompts(file, context_tokens=model.config.context_tokens), [], []
    for sample in samples:
        image = load_image(sample.image)
        output = model(to_pixels(image, model.config)[None], [prompts], adapt=False)
        heats.append(heat_map(output.maps)[0].numpy())
        masks.append(read_mask(sample.mask, image.size, model.config.image_size))
    return heats, masks


def drawn(heats: list[np.ndarray], masks: list[np.ndarray], draws: np.ndarray) -> np.ndarray:
    """Metrics [draws, metrics] of the bootstrap."""

    def metrics(histogram: Histogram) -> list[float | None]:
        values = pixel_metrics_binned(histogram).values
        return [values[name] for name in NAMES]

    counted = [count_pixels(heat, mask, COARSE_BINS) for heat, mask in zip(heats, masks, strict=True)]
    found = over_pixels(metrics, counted, draws)
    assert found is not None
    return found


def compare(untrained: FiLo, trained: FiLo, samples: list[Sample], file: DescriptionFile) -> dict[str, Any]:
    """Both models' metrics on the same images, and the 95 % interval of what training added."""
    (before, masks), (after, _) = (judge(model, samples, file) for model in (untrained, trained))
    draws = draw_images(np.array([sample.defective for sample in samples]), DRAWS)
    gained = drawn(after, masks, draws) - drawn(before, masks, draws)
    old, new = (pixel_metrics(heats, masks).values for heats in (before, after))
    found: dict[str, Any] = {"images": len(samples)}
    for index, name in enumerate(NAMES):
        found[name] = {"untrained": old[name], "trained": new[name], "gain_95": interval(gained[:, index])}
    return found


def losses(out: Path) -> tuple[float, float]:
    """Mean training loss of the first and of the last twenty steps of the main stage."""
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    values = [entry["loss"] for entry in log if entry["stage"] == "main"]
    return float(np.mean(values[:20])), float(np.mean(values[-20:]))


def teller(began: float) -> Callable[[Report], None]:
    def tell(report: Report) -> None:
        if report.step % 25 == 0 or report.step == report.steps:
            spent = time.process_time() - began
            print(f"{report.stage} {report.step}/{report.steps} loss {report.loss:.3f} {spent:.0f} s", flush=True)

    return tell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--limit", type=int, default=100, help="images of each label and category")
    parser.add_argument("--epochs", type=int, default=CONFIG.main_epochs)
    parser.add_argument("--rate", type=float, default=CONFIG.lr_decoder, help="of decoders")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    config = CONFIG.model_copy(update={"main_epochs": options.epochs, "lr_decoder": options.rate})
    learnt, judged = material(options.data, TRAIN, options.limit), material(options.data, UNSEEN, options.limit)
    torch.manual_seed(config.seed)
    untrained, began = fresh(options.preset), time.process_time()
    result = train(
        lambda: fresh(options.preset), learnt, config, options.out, resume=options.resume, listener=teller(began)
    )
    record: dict[str, Any] = {
        "preset": options.preset,
        "clip": fingerprint(untrained, ("clip.",))[:16],
        "seconds": time.process_time() - began,
        "loss_first_last": losses(options.out),
        "unseen": {},
        "run": summary(learnt, config),
    }
    for category, file in judged.descriptions.items():
        chosen = [s for s in judged.samples if s.category == category]
        record["unseen"][category] = compare(untrained, result.model, chosen, file)
        print(category, json.dumps(record["unseen"][category]), flush=True)
    atomic_write(options.out / "unseen.json", json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
