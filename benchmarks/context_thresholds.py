"""What a threshold from good photos promises, against what happens on good photos that it never saw.

Three ways from the same n good photos: ours (conformal, from leave-one-out scores), anomalib's (a bank of four fifths,
the highest score of the other fifth), and mean + 3 deviations of the leave-one-out scores.
"""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.context_pairs import Pairs, spread_taken_off
from detector.context.calibration import fine_and_coarse, photo_score, smallest_rate, threshold, uncalibrated_guess

COUNTS = (5, 10, 20, 50)
RATE = 0.05
"""Promised where so many photos can; otherwise the lowest rate that they can promise."""


class Rates(NamedTuple):
    """Over draws: shares of held-out good photos, or of defective ones, that are called anomalous."""

    way: str
    promised: float | None
    alarms: list[float]
    hits: list[float]


def scored(each: Pairs, among: Pairs, grid: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of photos beside references as `Bank.score` gives them, and of the references against each other."""
    left_out = spread_taken_off(among, among)
    good = [fine_and_coarse(values, grid) for values in left_out]
    fine, coarse = (float(np.mean(values)) for values in zip(*good, strict=True))
    photos = spread_taken_off(each, among)
    return tuple(  # type: ignore[return-value]  # two
        np.array([photo_score(values, grid, (fine, coarse)) for values in maps]) for maps in (photos, left_out)
    )


def measure(
    among: Pairs, defective: Pairs, grid: tuple[int, int], counts: Sequence[int] = COUNTS, draws: int = 20
) -> dict[int, list[Rates]]:
    """By the number of references: the three ways.

    Args:
        among: good photos with each other; references are drawn from these, the rest is held out.
        defective: photos with a defect, with the same good photos.
        grid: rows and columns of a map.
        counts: of references.
        draws: of references.
    """
    rates: dict[int, list[Rates]] = {}
    total = len(among.far)
    for count in counts:
        if count > total // 2:
            continue
        rate = max(RATE, smallest_rate(count))
        ways = [Rates("ours", rate, [], []), Rates("maximum of a fifth", None, [], []), Rates("mean + 3", None, [], [])]
        for draw in range(draws):
            order = random.Random(draw).sample(range(total), total)
            limits = _limits(among, defective, grid, order[:count], order[count:], rate)
            for way, (limit, good, bad) in zip(ways, limits, strict=True):
                way.alarms.append(float((good > limit).mean()))
                way.hits.append(float((bad > limit).mean()))
        rates[count] = ways
    return rates


_Limit = tuple[float, NDArray[np.float64], NDArray[np.float64]]


def _limits(
    among: Pairs, defective: Pairs, grid: tuple[int, int], drawn: Sequence[int], held: Sequence[int], rate: float
) -> list[_Limit]:
    """Threshold, scores of held-out good photos, scores of defective ones, for every way."""

    def beside(names: Sequence[int], others: Sequence[int]) -> tuple[NDArray[np.float64], ...]:
        refs = _rows(among, others).beside(others)
        good, own = scored(_rows(among, names).beside(others), refs, grid)
        return good, scored(defective.beside(others), refs, grid)[0], own

    good, bad, own = beside(held, drawn)
    fifth = max(1, math.ceil(len(drawn) / 5))
    kept = drawn[fifth:]
    fewer_good, fewer_bad, _ = beside(held, kept)
    validation, _, _ = beside(drawn[:fifth], kept)
    return [
        (threshold(own.tolist(), rate), good, bad),
        (float(validation.max()), fewer_good, fewer_bad),
        (uncalibrated_guess(own.tolist()), good, bad),
    ]


def _rows(each: Pairs, rows: Sequence[int]) -> Pairs:
    return Pairs(each.far[rows], each.index[rows])


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of a mean over draws."""
    drawn = np.random.default_rng(seed).choice(np.array(values), (1000, len(values)))
    low, high = np.quantile(drawn.mean(1), [0.025, 0.975])
    return float(low), float(high)


def rows(name: str, rates: dict[int, list[Rates]]) -> list[str]:
    """Lines of a table."""
    lines = []
    for count, ways in rates.items():
        for way in ways:
            low, high = interval(way.alarms)
            promised = "-" if way.promised is None else f"{way.promised:.3f}"
            hits = f"{np.mean(way.hits):.3f}" if way.hits else "-"
            lines.append(
                f"| {name} | {count} | {way.way} | {promised} | {np.mean(way.alarms):.3f} ({low:.3f}-{high:.3f}) "
                f"| {hits} |"
            )
    return lines
