"""Which images a model was trained on: short content hashes that a checkpoint carries, so that `eval` can say so."""

import base64
import hashlib
from collections.abc import Iterable
from contextlib import suppress

from detector.data import Sample

BYTES = 8
"""Of each hash: among a million images, two that differ are taken for one with a chance of 3 in 10^8."""


def digests(samples: Iterable[Sample]) -> frozenset[bytes]:
    """Content hashes of the images; one that cannot be read is left out, since whoever uses it says so."""
    hashed = set()
    for sample in samples:
        with suppress(OSError):
            hashed.add(hashlib.sha256(sample.image.read_bytes()).digest()[:BYTES])
    return frozenset(hashed)


def pack(hashed: Iterable[bytes]) -> str:
    """Hashes as one text, sorted, for the header of a checkpoint."""
    return base64.b64encode(b"".join(sorted(hashed))).decode()


def unpack(packed: str) -> frozenset[bytes]:
    """What `pack` packed; nothing for a checkpoint that says nothing, or nonsense."""
    try:
        data = base64.b64decode(packed, validate=True)
    except ValueError:
        return frozenset()
    return frozenset(data[start : start + BYTES] for start in range(0, len(data) - len(data) % BYTES, BYTES))


def seen(trained: frozenset[bytes], samples: Iterable[Sample]) -> str:
    """One line where a model was trained on images that it is evaluated on; otherwise nothing.

    Args:
        trained: as `unpack` gives it.
        samples: to be scored.
    """
    listed = list(samples)
    known = sum(bool(digests([sample]) & trained) for sample in listed) if trained else 0
    if not known:
        return ""
    return f"the checkpoint was trained on {known} of these {len(listed)} images; their scores are not zero-shot"
