"""Which images at which step, how fast: pure functions of the seed, so that nothing but a step number needs saving."""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from detector.data.errors import TrainingDataError


class Split(NamedTuple):
    """Indices into the data set."""

    train: tuple[int, ...]
    validation: tuple[int, ...]


def generator(seed: int, *address: int) -> np.random.Generator:
    """A random stream that belongs to one address, such as (epoch, image), whatever was drawn before it."""
    return np.random.default_rng([seed, *address])


def held_out(strata: Sequence[Hashable], fraction: float, seed: int) -> Split:
    """Hold out `fraction` of every stratum (category and label), never all of one.

    Args:
        strata: the stratum of every image.
        fraction: share held out, in [0, 1); a stratum of one image stays in training.
        seed: decides which.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        members[stratum].append(index)
    validation: list[int] = []
    for number, indices in enumerate(members.values()):
        count = min(round(fraction * len(indices)), len(indices) - 1)
        picks = generator(seed, 1, number).permutation(len(indices))[:count]
        validation += [indices[i] for i in picks]
    training = set(range(len(strata))) - set(validation)
    return Split(tuple(sorted(training)), tuple(sorted(validation)))


def steps_per_epoch(size: int, batch: int) -> int:
    """Full batches in one pass; the remainder is another one in every epoch, since every epoch has its own order.

    Raises:
        TrainingDataError: fewer images than one batch.
    """
    if size < batch:
        raise TrainingDataError(
            f"{size} training images",
            expected=f"at least one batch of {batch}",
            hint=f"type --set batch_size={max(size, 1)}",
        )
    return size // batch


def batch_indices(size: int, batch: int, epoch: int, step: int, seed: int) -> tuple[int, ...]:
    """Positions (in the training part) of the images of one step of one epoch."""
    order = generator(seed, 2, epoch).permutation(size)
    return tuple(int(i) for i in order[step * batch : (step + 1) * batch])


def rate(step: int, total: int, warmup: int, schedule: Literal["constant", "cosine"]) -> float:
    """Factor on the peak rate at `step` (from 0) of `total`: linear warm-up, then constant or half a cosine."""
    warmup = min(warmup, total // 2)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
