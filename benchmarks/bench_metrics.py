"""All pixel and image metrics of 100 maps of 518 x 518 in one call, against 200 thresholds + scikit-learn.

Run: python -m benchmarks.bench_metrics [--maps N] [--size S]. Both ways run in this one process and must agree.
Processor time is taken, which other work on the machine disturbs little; our memory is the peak of Python allocations
beyond the maps themselves.
"""

import argparse
import time
import tracemalloc

import numpy as np
from scipy import ndimage
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from detector.metrics import image_metrics, pixel_metrics


def make(count: int, size: int, seed: int = 0):
    """Smooth noise with one to three brighter blobs on two thirds of the maps."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[:size, :size]
    maps, masks = [], []
    for index in range(count):
        mask = np.zeros((size, size), dtype=bool)
        for _ in range(index % 3 and rng.integers(1, 4)):
            centre, radius = rng.integers(0, size, 2), rng.integers(size // 40 + 1, size // 10 + 2)
            mask |= ((grid - centre[:, None, None]) ** 2).sum(axis=0) < radius**2
        noise = ndimage.gaussian_filter(rng.random((size, size)), 4) + 0.02 * mask
        maps.append(np.clip(noise, 0, 1).astype(np.float32))
        masks.append(mask)
    return maps, masks


def straightforward(maps, masks):
    """scikit-learn on all pixels and on the image scores; AUPRO by 200 thresholds with a loop over regions."""
    results = {}
    pixels = (np.stack(maps).ravel(), np.stack(masks).ravel())
    images = (np.array([m.max() for m in maps]), np.array([m.any() for m in masks]))
    for name, (scores, labels) in {"pixel": pixels, "image": images}.items():
        precision, recall, _ = precision_recall_curve(labels, scores)
        results[f"{name}_auroc"] = roc_auc_score(labels, scores)
        results[f"{name}_ap"] = average_precision_score(labels, scores)
        results[f"{name}_f1max"] = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-300))
    results["aupro_legacy"] = threshold_loop(np.stack(maps), np.stack(masks))
    return results


def threshold_loop(maps, masks, limit=0.3):
    """The usual AUPRO: binarise all maps at each threshold, then visit every region."""
    regions = []
    for index, mask in enumerate(masks):
        labels, number = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [(index, *np.nonzero(labels == label)) for label in range(1, number + 1)]
    rates, overlaps = [], []
    low, high = float(maps.min()), float(maps.max())
    for threshold in np.arange(low, high, (high - low) / 200):
        marked = maps > threshold
        overlaps.append(np.mean([marked[region].mean() for region in regions]))
        rates.append((marked & ~masks).sum() / (~masks).sum())
    rate, overlap = np.array(rates), np.array(overlaps)
    rate, overlap = rate[rate < limit], overlap[rate < limit]
    return auc((rate - rate.min()) / (rate.max() - rate.min()), overlap)


def ours(maps, masks):
    """One call for the pixels, one for the images."""
    images = image_metrics(np.array([m.max() for m in maps]), np.array([m.any() for m in masks]))
    return pixel_metrics(maps, masks).values | images.values


def timed(function, *args):
    start = time.process_time()
    return function(*args), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=100)
    parser.add_argument("--size", type=int, default=518)
    options = parser.parse_args()
    maps, masks = make(options.maps, options.size)
    fast, seconds = timed(ours, maps, masks)
    slow, slow_seconds = timed(straightforward, maps, masks)
    difference = max(abs(fast[name] - slow[name]) for name in slow)
    tracemalloc.start()
    ours(maps, masks)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    print(f"{options.maps} maps of {options.size} x {options.size}, {len(fast)} metrics")
    held = sum(scores.nbytes for scores in maps) / 2**20
    print(f"ours                {seconds:7.2f} s, {peak:.0f} MiB beyond the maps ({held:.0f} MiB)")
    print(f"straightforward     {slow_seconds:7.2f} s (7 metrics: without the exact aupro)")
    print(f"ratio               {slow_seconds / seconds:7.1f} x, largest difference {difference:.1e}")
    assert difference < 1e-9


if __name__ == "__main__":
    main()
