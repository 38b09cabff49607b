"""Errors of detector.

ForgeError
+-- DetectorError
    +-- OutputError     a file or folder that cannot be written to, or that holds another run
"""

from pathlib import Path
from typing import ClassVar

from descriptions.common.errors import ForgeError


class DetectorError(ForgeError):
    """Base of everything this package raises."""


class OutputError(DetectorError):
    """A file or folder that cannot be written to, or that holds another run."""

    exit_code: ClassVar[int] = 1


def cannot_write(path: Path, error: OSError, other: str = "another --out") -> OutputError:
    """One line for a full disk, a read-only folder, or a file where a folder should be.

    Args:
        path: what was to be written.
        error: what came of it.
        other: what to name instead.
    """
    return OutputError(f"{path} cannot be written to: {error.strerror or error}", hint=f"free space or name {other}")
