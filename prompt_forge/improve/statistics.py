"""Which of two versions ranks photos better, with intervals that pay for every look.

Photos are split once, by seed, within good and defective ones: proposals are chosen on *steer*, and *confirm* is looked
at once a run, when the version is done. That one look needs no correction for the rounds, however many they were. Looks
of further runs at the same photos do: the n-th is tested at `LEVEL / (n (n + 1))`, which adds up to `LEVEL` whatever
number of runs there is. (Holm would need to know that number beforehand.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""Chance of calling a version better that is not, over all looks at the same photos; both tails."""
DRAWS = 4000
"""Of the bootstrap."""
FEWEST = 4
"""Good and defective photos that each part needs."""

Scores = NDArray[np.float64]
"""[photos]."""


class Difference(NamedTuple):
    """What a version has more than another, in image AUROC."""

    value: float
    interval: tuple[float, float]
    before: float
    """AUROC of the other."""
    after: float
    level: float
    """1 minus this is what the interval covers."""

    @property
    def is_gain(self) -> bool:
        """Whether the interval lies above zero."""
        return self.interval[0] > 0


def split(defective: Sequence[bool], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the steer and of the confirm photos; good and defective ones are halved alike."""
    rng = np.random.default_rng(seed)
    truth = np.asarray(defective, dtype=bool)
    halves: tuple[list[int], list[int]] = ([], [])
    for group in (np.flatnonzero(~truth), np.flatnonzero(truth)):
        mixed = rng.permutation(group)
        middle = len(mixed) // 2
        halves[0].extend(mixed[:middle])
        halves[1].extend(mixed[middle:])
    return np.array(sorted(halves[0]), dtype=np.intp), np.array(sorted(halves[1]), dtype=np.intp)


def level_of_look(look: int) -> float:
    """Level of the n-th look (from 1) at the same photos."""
    return LEVEL / (look * (look + 1))


def auroc(scores: Scores, defective: NDArray[np.bool_]) -> float:
    """Chance that a defective photo scores above a good one; ties count half."""
    return float(_wins(scores, defective).mean())


def compare(
    before: Scores, after: Scores, defective: NDArray[np.bool_], *, level: float = LEVEL, seed: int = 0
) -> Difference:
    """The difference in AUROC with a paired bootstrap interval: each draw takes the same photos for both versions.

    Args:
        before: scores of the version compared with, [photos].
        after: scores of the other, [photos].
        defective: truth, [photos].
        level: 1 minus the coverage.
        seed: of the draws, which are made within good and within defective photos.
    """
    old, new = _wins(before, defective), _wins(after, defective)
    more = new - old
    rng = np.random.default_rng(seed)
    bad = rng.multinomial(len(more), np.full(len(more), 1 / len(more)), DRAWS) / len(more)
    good = rng.multinomial(more.shape[1], np.full(more.shape[1], 1 / more.shape[1]), DRAWS) / more.shape[1]
    drawn = np.einsum("db,bg,dg->d", bad, more, good, optimize=True)
    low, high = np.quantile(drawn, [level / 2, 1 - level / 2])
    return Difference(float(more.mean()), (float(low), float(high)), float(old.mean()), float(new.mean()), level)


def _wins(scores: Scores, defective: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[defective, good]: 1 where the defective photo scores higher, half for a tie."""
    bad, good = scores[defective][:, None], scores[~defective][None]
    return np.asarray((bad > good) + 0.5 * (bad == good), dtype=np.float64)
