"""The folder of a category's records: whose it is, which images are done, and which failed."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from descriptions.common.files import atomic_write
from detector.data import Sample
from detector.data.masks import mask_files
from detector.evaluate.errors import EvaluationError
from detector.evaluate.records import read_head

_IDENTITY = "identity.txt"


def record_path(folder: Path, index: int) -> Path:
    """Where the results of the image with this index lie."""
    return folder / f"{index:06}.npz"


def origin(sample: Sample) -> str:
    """SHA-256 over the image and its mask, byte for byte: names and times are alike where the pictures are not."""
    digest = hashlib.sha256()
    for paths in ((sample.image,), mask_files(sample.mask)):
        try:
            content = b"".join(path.read_bytes() for path in paths)
        except OSError:
            content = b""  # whoever scores it says what is wrong
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def check(folder: Path, name: str, origins: Sequence[str]) -> None:
    """Make sure that what a folder holds belongs to this very evaluation.

    Raises:
        EvaluationError: it was made with another `identity`, or from other images or masks.
    """
    path = folder / _IDENTITY
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != name:
        raise _refusal(f"{folder} holds results of another model, data set or descriptions")
    for index, made_from in enumerate(origins):
        is_scored(folder, index, made_from)


def claim(folder: Path, name: str) -> None:
    """Say whose folder this is."""
    atomic_write(folder / _IDENTITY, name)


def is_scored(folder: Path, index: int, made_from: str) -> bool:
    """Whether an image has its record.

    Raises:
        EvaluationError: the record was made from another image or mask.
    """
    path = record_path(folder, index)
    head = read_head(path)
    if head is not None and head.made_from != made_from:
        raise _refusal(f"{path} was made from another image or mask")
    return head is not None


def write_failure(folder: Path, index: int, made_from: str, error: str) -> None:
    """Note that an image cannot be used, for all processes that share the work."""
    atomic_write(_failure_path(folder, index), json.dumps({"made_from": made_from, "error": error}) + "\n")


def read_failure(folder: Path, index: int, made_from: str) -> str | None:
    """Why an image could not be used; None where nobody tried these very files."""
    try:
        noted = json.loads(_failure_path(folder, index).read_text(encoding="utf-8"))
        return str(noted["error"]) if noted["made_from"] == made_from else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove_failure(folder: Path, index: int) -> None:
    """Forget a failure, now that the image could be used."""
    _failure_path(folder, index).unlink(missing_ok=True)


def _failure_path(folder: Path, index: int) -> Path:
    return folder / f"{index:06}.failed.json"


def _refusal(problem: str) -> EvaluationError:
    return EvaluationError(
        problem, expected="an empty folder, or the same evaluation to continue", hint="pass another --out"
    )
