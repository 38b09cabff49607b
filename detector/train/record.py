"""`run.json`: what was asked, with what, and how it ended; written before the first step and after the last."""

import json
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from descriptions.files import atomic_write

NAME = "run.json"
PACKAGES = ("filo-forge", "torch", "open_clip_torch", "lightning-fabric", "numpy")


@contextmanager
def recorded(folder: Path, content: Mapping[str, Any]) -> Iterator[None]:
    """Keep `folder/run.json`: status `running`, then `done`, or `stopped` with the reason."""
    record: dict[str, Any] = {
        "command": "train",
        "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "git_commit": git_commit(),
        **content,
    }
    _write(folder, record)
    try:
        yield
    except BaseException as error:
        _write(folder, record | {"status": "stopped", "reason": str(error) or type(error).__name__, "ended": _now()})
        raise
    _write(folder, record | {"status": "done", "ended": _now()})


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_commit() -> str | None:
    """Commit of the checkout this code runs from, None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    atomic_write(folder / NAME, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
