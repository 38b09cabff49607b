"""All metrics in a thousand draws of the bootstrap, against the exact metrics of one draw at a time.

Run: python -m benchmarks.bench_bootstrap [--images N] [--draws N]. Both ways run in this process, on the same draws,
and must agree. Processor time is taken, which other work on the machine disturbs little.
"""

import argparse
import time
from functools import reduce

import numpy as np

from benchmarks.bench_metrics import make
from detector.evaluate.bootstrap import draw_images, group_bins, over_pixels
from detector.metrics import Histogram, count_pixels, pixel_metrics_binned
from detector.metrics.compute import PIXEL_METRICS
from detector.metrics.pixels import add


def one_at_a_time(histograms, groups, draws):
    results = []
    for times in draws.astype(float):
        drawn = Histogram(*(times @ np.stack(side) for side in zip(*histograms, strict=True)))
        whole = Histogram(*np.zeros((3, len(groups.of))))
        for side, counts in zip(whole, drawn, strict=True):
            side[groups.at] = counts
        values = pixel_metrics_binned(whole).values
        results.append([values[name] for name in PIXEL_METRICS])
    return np.array(results, dtype=float)


def timed(function, *args):
    start = time.process_time()
    return function(*args), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--draws", type=int, default=1000)
    args = parser.parse_args()
    maps, masks = make(args.images, 252)
    counted = [count_pixels(*pair) for pair in zip(maps, masks, strict=True)]
    groups = group_bins(reduce(add, counted))
    grouped = [Histogram(*(np.bincount(groups.of, side, len(groups.at)) for side in one)) for one in counted]
    draws = draw_images(np.array([mask.any() for mask in masks]), args.draws)
    slow, slow_time = timed(one_at_a_time, grouped, groups, draws)
    ours, our_time = timed(over_pixels, grouped, groups, draws, PIXEL_METRICS)
    assert np.allclose(slow, ours, atol=1e-9, equal_nan=True)
    print(f"one at a time {slow_time:.2f} s, all at once {our_time:.2f} s: {slow_time / our_time:.1f} times as fast")


if __name__ == "__main__":
    main()
