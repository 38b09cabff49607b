"""Failures in the middle of a run, turned into one line that says what is still on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.train.errors import InterruptedTrainingError

_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")
"""Words of the host's and the GPU's allocators; `torch.OutOfMemoryError` is a RuntimeError too."""


def full_disk(path: Path, error: OSError) -> InterruptedTrainingError:
    """The line for a file that could not be written."""
    return InterruptedTrainingError(
        f"{path} could not be written: {error.strerror}",
        hint="the state before it is intact; make room and continue with --resume",
    )


@contextmanager
def memory_guard(where: str, batch: int) -> Iterator[None]:
    """Turn every way torch and Python run out of memory into one line.

    Raises:
        InterruptedTrainingError: out of memory; other errors pass unchanged.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        raise InterruptedTrainingError(
            f"{where}: out of memory at batch size {batch}",
            hint="the last saved state is intact; start again with a smaller batch, such as --set batch_size=1",
        ) from error
