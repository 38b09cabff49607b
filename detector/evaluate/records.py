"""What remains of one image after scoring: enough for every metric, and small enough to keep.

One file an image. A run that was killed continues with the images that have none; processes that share the work
write into one folder, or into folders that are copied together afterwards.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descriptions.common.files import atomic_write
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


def unpack_counts(counts: Counts, groups: NDArray[np.int64] | None = None, bins: int = BINS) -> Histogram:
    """The histogram again, or one of `bins` groups where `groups` [2^16] says which group each bin belongs to."""
    at = counts.bins if groups is None else groups[counts.bins]
    return Histogram(*(np.bincount(at, values, minlength=bins).astype(np.float64) for values in counts[1:]))


class Head(NamedTuple):
    """What is known of a stored record without its pixels."""

    scores: NDArray[np.float64]
    made_from: str
    """Digest of the image and its mask."""


_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive can raise."""


def write_record(path: Path, record: Record, made_from: str) -> None:
    """Store one image's results and the digest of what they were made from, whole or not at all."""
    arrays = {"scores": record.scores, "seconds": record.seconds, "made_from": np.array(made_from)}
    for index, counts in enumerate(record.counts):
        arrays |= {f"{name}.{index}": values for name, values in counts._asdict().items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stubs take `allow_pickle` for an array
    atomic_write(path, stream.getvalue())


def read_head(path: Path) -> Head | None:
    """Scores and origin of a stored record, or None where there is none that can be read to its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # pixels that cannot be read later would be missed in some columns only
                return None
        with np.load(path) as stored:
            return Head(stored["scores"], str(stored["made_from"]))
    except _DAMAGE:
        return None


def read_counts(path: Path, variant: int) -> Counts | None:
    """Pixels of one variant, or None where the image has no pixel labels."""
    with np.load(path) as stored:
        if f"bins.{variant}" not in stored:
            return None
        return Counts(*(stored[f"{name}.{variant}"] for name in Counts._fields))


def gather(paths: Sequence[Path], variant: int) -> Histogram | None:
    """Histogram of all images, in the order given; None where no image has pixel labels."""
    total: Histogram | None = None
    for path in paths:
        if (counts := read_counts(path, variant)) is not None:
            histogram = unpack_counts(counts)
            total = histogram if total is None else Histogram(*(a + b for a, b in zip(total, histogram, strict=True)))
    return total
