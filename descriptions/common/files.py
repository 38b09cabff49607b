"""Files that are either whole or absent, and texts as editors of all kinds save them."""

import codecs
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def decode(data: bytes) -> str:
    """The text of a file that a person saved, its lines ended by line feeds.

    A byte order mark is no part of it. With the mark of UTF-16, which PowerShell writes, it is read as that; otherwise
    it is UTF-8. Only carriage returns and line feeds end lines: U+2028 and U+0085 are characters like others.

    Raises:
        UnicodeDecodeError: neither.
    """
    wide = len(data) > 2 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return re.sub("\r\n?", "\n", data.decode("utf-16" if wide else "utf-8-sig"))


def read_text(path: Path) -> str:
    """The text of a file that a person saved; see `decode`.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is neither UTF-8 nor UTF-16.
    """
    return decode(path.read_bytes())


def atomic_write(path: Path, content: str | bytes, *, exclusive: bool = False) -> None:
    """Write `content` to `path` so that no reader and no crash ever sees half of it.

    Args:
        path: target; its parent folder is created when missing.
        content: text (stored as UTF-8) or bytes.
        exclusive: refuse to replace an existing file. The check and the write are one step, so of two processes
            that race for the same name exactly one wins.

    Raises:
        FileExistsError: `exclusive` and the file is there already.
        OSError: the disk is full, the folder is read-only, and so on. The target is then untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    with staged(path, exclusive=exclusive) as part:
        part.write_bytes(data)


@contextmanager
def staged(path: Path, *, exclusive: bool = False) -> Iterator[Path]:
    """A file beside `path` to write into; it takes the target's name when the block ends well, else it vanishes.

    For writers that want a file name rather than bytes. Arguments and errors are those of `atomic_write`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_umask())
        if exclusive:
            path.hardlink_to(part)  # unlike rename, a link fails when the target exists
        else:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask; mkstemp ignores it and makes files that only their owner can read."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
