"""What remains of one image after scoring: enough for every metric, and small enough to keep.

One file an image. A run that was killed continues with the images that have none; processes that share the work
write into one folder, or into folders that are copied together afterwards.
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descriptions.files import atomic_write
from detector.metrics.pixels import BINS, Histogram


class Counts(NamedTuple):
    """The filled bins of one map's histogram."""

    bins: NDArray[np.uint16]
    negatives: NDArray[np.uint32]
    positives: NDArray[np.uint32]
    overlaps: NDArray[np.float64]


class Record(NamedTuple):
    """Results of one image for every variant, in the order of the variants."""

    scores: NDArray[np.float64]
    counts: tuple[Counts, ...]
    """Pixels by score; empty where the pixels' labels are not known."""
    seconds: NDArray[np.float64]
    """Time for the image's features (0 when they were cached), and for all the rest."""


def pack_counts(histogram: Histogram) -> Counts:
    """The filled bins of a histogram."""
    filled = np.flatnonzero(histogram.negatives + histogram.positives)
    negatives, positives, overlaps = (counts[filled] for counts in histogram)
    return Counts(filled.astype(np.uint16), negatives.astype(np.uint32), positives.astype(np.uint32), overlaps)


def unpack_counts(counts: Counts, bins: int = BINS) -> Histogram:
    """The histogram again, in fewer bins where `bins` says so (a divisor of 2^16)."""
    at = counts.bins.astype(np.int64) // (BINS // bins)
    return Histogram(*(np.bincount(at, values, minlength=bins).astype(np.float64) for values in counts[1:]))


def write_record(path: Path, record: Record) -> None:
    """Store one image's results, whole or not at all."""
    arrays = {"scores": record.scores, "seconds": record.seconds}
    for index, counts in enumerate(record.counts):
        arrays |= {f"{name}.{index}": values for name, values in counts._asdict().items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stubs take `allow_pickle` for an array
    atomic_write(path, stream.getvalue())


def read_scores(path: Path) -> NDArray[np.float64] | None:
    """Scores of a stored record, or None where there is none that can be read."""
    try:
        with np.load(path) as stored:
            scores: NDArray[np.float64] = stored["scores"]
            return scores
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def read_counts(path: Path, variant: int) -> Counts | None:
    """Pixels of one variant, or None where the image has no pixel labels."""
    with np.load(path) as stored:
        if f"bins.{variant}" not in stored:
            return None
        return Counts(*(stored[f"{name}.{variant}"] for name in Counts._fields))


def gather(paths: Sequence[Path], variant: int, bins: int = BINS) -> Histogram | None:
    """Histogram of all images, in the order given; None where no image has pixel labels."""
    total: Histogram | None = None
    for path in paths:
        if (counts := read_counts(path, variant)) is not None:
            found = unpack_counts(counts, bins)
            total = found if total is None else Histogram(*(a + b for a, b in zip(total, found, strict=True)))
    return total
