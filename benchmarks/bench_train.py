"""Does training on some products help on a product it never saw? Real images, frozen CLIP of a preset, one CPU.

    python -m benchmarks.bench_train --data DATA --out runs/unseen    # every product in turn, an hour
    python -m benchmarks.bench_train --data DATA --out runs/unseen --unseen transistor

DATA holds data sets in the MVTec layout, one folder each, as `tools.docs.library_scores` names them. For every product,
FiLo's own parts start afresh on the frozen towers of the preset, learn from all other products and are judged,
untrained and trained, on this one, with the library's reviewed descriptions. Intervals are those of `detector eval`:
a bootstrap over images, paired. The record of a product is `OUT/PRODUCT/unseen.json`; the table goes to stdout.
"""

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from descriptions.common.files import atomic_write
from descriptions.format.schema import DescriptionFile
from descriptions.store import PACKAGED, Store
from detector.data import Sample, open_data, read_mask
from detector.data.material import Material
from detector.evaluate.bootstrap import draw_images, group_bins, interval, over_pixels
from detector.images.load import load_image
from detector.images.tensors import to_pixels
from detector.metrics import Histogram, count_pixels, pixel_metrics
from detector.metrics.pixels import add
from detector.model.filo import FiLo
from detector.scoring.feature_cache import fingerprint
from detector.scoring.maps import mean_map
from detector.scoring.prompts import create_prompts
from detector.train.config import TrainConfig
from detector.train.log import Report
from detector.train.session import TrainingRun, summary, train
from detector.weights.factory import create_model
from detector.weights.registry import load_preset
from tools.docs.library_scores import SETS

CONFIG = TrainConfig(
    main_epochs=15, adapter_epochs=0, batch_size=8, lr_prompt=1e-3, lr_decoder=1e-3, mosaic_rate=0, flip=False,
    photometric=0, position="mask", validate_every=0,
)  # fmt: skip
TITLES = (" pixel AUROC", " pixel AP", " AUPRO")
NAMES = ("pixel_auroc", "pixel_ap", "aupro")
DRAWS = 1000
RANKS = 2**14


def material(root: Path, names: Sequence[str], limit: int) -> Material:
    """At most `limit` good and `limit` defective test images of every product, spread evenly over its files."""
    samples: list[Sample] = []
    files = {}
    for name in names:
        source = SETS[name]
        test_samples = open_data(root / source.folder).select(category=source.name, split="test")
        for defective in (False, True):
            group = [s for s in test_samples if s.defective == defective]
            samples += [group[i] for i in np.unique(np.linspace(0, len(group) - 1, min(limit, len(group))).astype(int))]
        files[source.name] = Store(PACKAGED, read_only=True).load(f"{name}@1")
    return Material(tuple(samples), files, "test")


def fresh(preset: str) -> FiLo:
    """The preset's frozen CLIP with FiLo's own parts as they are before any training."""
    ready = load_preset(preset)
    model = create_model(ready.config)
    model.clip.load_state_dict(ready.clip.state_dict())
    return model


@torch.no_grad()
def judge(model: FiLo, samples: list[Sample], file: DescriptionFile) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Anomaly map and mask of every image, at the resolution of the model."""
    prompts, anomaly_maps, masks = create_prompts(file, context_tokens=model.config.context_tokens), [], []
    for sample in samples:
        image = load_image(sample.image)
        output = model(to_pixels(image, model.config)[None], [prompts], adapt=False)
        anomaly_maps.append(mean_map(output.maps)[0].numpy())
        masks.append(read_mask(sample.mask, image.size, model.config.image_size))
    return anomaly_maps, masks


def drawn(anomaly_maps: list[np.ndarray], masks: list[np.ndarray], draws: np.ndarray) -> np.ndarray:
    """Metrics [draws, metrics] of the bootstrap."""
    counted = [count_pixels(anomaly_map, mask) for anomaly_map, mask in zip(ranked(anomaly_maps), masks, strict=True)]
    groups = group_bins(functools.reduce(add, counted))
    size = len(groups.at)
    drawable = (Histogram(*(np.bincount(groups.of, side, minlength=size) for side in one)) for one in counted)
    metrics = over_pixels(drawable, groups, draws, NAMES)
    assert metrics is not None
    return metrics


def ranked(anomaly_maps: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Maps with their values replaced by their rank among all, which changes none of the metrics.

    An untrained model's maps lie so close to 0 or 1 that a histogram of even steps would not tell their values apart.
    """
    every = np.concatenate([anomaly_map.ravel()[::7] for anomaly_map in anomaly_maps])
    steps = np.unique(np.quantile(every, np.linspace(0, 1, RANKS)))
    return (np.searchsorted(steps, anomaly_map) / len(steps) for anomaly_map in anomaly_maps)


def compare(untrained: FiLo, trained: FiLo, samples: list[Sample], file: DescriptionFile) -> dict[str, Any]:
    """Both models' metrics on the same images, and the 95 % interval of what training added."""
    (before, masks), (after, _) = (judge(model, samples, file) for model in (untrained, trained))
    draws = draw_images(np.array([sample.defective for sample in samples]), DRAWS)
    gained = drawn(after, masks, draws) - drawn(before, masks, draws)
    old, new = (pixel_metrics(anomaly_maps, masks).values for anomaly_maps in (before, after))
    results: dict[str, Any] = {"images": len(samples)}
    for index, name in enumerate(NAMES):
        results[name] = {"untrained": old[name], "trained": new[name], "gain_95": interval(gained[:, index])}
    return results


def losses(out: Path) -> tuple[float, float]:
    """Mean training loss of the first and of the last twenty steps of the main stage."""
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    values = [entry["loss"] for entry in log if entry["stage"] == "main"]
    return float(np.mean(values[:20])), float(np.mean(values[-20:]))


def teller(began: float) -> Callable[[Report], None]:
    def tell(report: Report) -> None:
        if report.step % 25 == 0 or report.step == report.steps:
            spent = time.process_time() - began
            print(f"{report.stage} {report.step}/{report.steps} loss {report.loss:.3f} {spent:.0f} s", file=sys.stderr)

    return tell


def unseen(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train on all products but `name`, judge on it; the record."""
    config = CONFIG.model_copy(update={"main_epochs": options.epochs, "lr_decoder": options.rate})
    learnt = material(options.data, [other for other in SETS if other != name], options.limit)
    judged = material(options.data, [name], options.judged)
    torch.manual_seed(config.seed)
    untrained, began, out = fresh(options.preset), time.process_time(), options.out / name
    run = TrainingRun(lambda: fresh(options.preset), learnt, config, out, options.resume, listener=teller(began))
    result = train(run)
    return {
        "preset": options.preset,
        "clip": fingerprint(untrained, ("clip.",))[:16],
        "seconds": time.process_time() - began,
        "loss_first_last": losses(out),
        "unseen": compare(untrained, result.model, list(judged.samples), next(iter(judged.files.values()))),
        "run": summary(learnt, config),
    }


def row(name: str, record: dict[str, Any]) -> str:
    """One line of the table; gains whose interval leaves out zero are bold."""
    unseen, (first, last) = record["unseen"], record["loss_first_last"]
    cells = [name, str(unseen["images"]), f"{first:.2f} -> {last:.2f}"]
    for metric in NAMES:
        low, high = unseen[metric]["gain_95"]
        gain = f"{low:+.3f} to {high:+.3f}"
        cells += [f"{unseen[metric]['untrained']:.3f} -> {unseen[metric]['trained']:.3f}"]
        cells += [f"**{gain}**" if low > 0 or high < 0 else gain]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--unseen", nargs="+", choices=tuple(SETS), default=tuple(SETS), metavar="PRODUCT")
    parser.add_argument("--limit", type=int, default=100, help="images of each label and product to learn from")
    parser.add_argument("--judged", type=int, default=400, help="images of each label to judge on")
    parser.add_argument("--epochs", type=int, default=CONFIG.main_epochs)
    parser.add_argument("--rate", type=float, default=CONFIG.lr_decoder, help="of decoders")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    print(f"| judged on | images | loss |{' | gain |'.join(TITLES)} | gain |\n{'|---' * (3 + 2 * len(NAMES))}|")
    for name in options.unseen:
        record = unseen(name, options)
        atomic_write(options.out / name / "unseen.json", json.dumps(record, indent=1) + "\n")
        print(row(name, record), flush=True)


if __name__ == "__main__":
    main()
