"""The record every run leaves: what was asked, with what, on what, and how it ended."""

import json
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from descriptions.common.files import atomic_write
from descriptions.common.terminal import typed
from detector.errors import OutputError

RECORD = "run.json"
_PACKAGES = (
    "filo-forge", "torch", "open_clip_torch", "lightning-fabric", "numpy", "groundingdino-py", "transformers",
)  # fmt: skip

Command = Literal["detect", "eval", "train"]
"""Those that keep a record; they write files of the same names."""

Status = Literal["running", "interrupted", "failed", "partial", "done"]


@dataclass
class Outcome:
    """What a run says of itself in the end; the body of `recorded` may change it."""

    status: Status = "done"
    results: dict[str, Any] = field(default_factory=dict)
    """Further entries of the record."""


@contextmanager
def recorded(folder: Path, settings: dict[str, Any], *, command: Command) -> Iterator[Outcome]:
    """Keep the record of a run however it ends: `interrupted` and `failed` come with the reason.

    Args:
        folder: of the run.
        settings: everything that decides the results, as plain JSON.
        command: whose run it is; a folder holds the results of one.
    """
    write_run(folder, settings, status="running", command=command)
    outcome = Outcome()
    try:
        yield outcome
    except BaseException as error:
        status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(OSError):  # a full disk is what ended the run; say that
            write_run(
                folder,
                settings,
                status=status,
                command=command,
                reason=str(error) or type(error).__name__,
                **outcome.results,
            )
        raise
    write_run(folder, settings, status=outcome.status, command=command, **outcome.results)


def write_run(folder: Path, settings: dict[str, Any], *, status: Status, command: Command, **results: Any) -> None:
    """Write `run.json`, whole or not at all; `running` starts the clock, any other status keeps the start time.

    Args:
        folder: of the run.
        settings: everything that decides the results, as plain JSON.
        status: how far the run is.
        command: whose run it is.
        results: further entries, such as the `thresholds` that an evaluation found.

    Raises:
        OutputError: the folder holds the results of another command.
    """
    before = read_run(folder) or {}
    if status == "running":
        _require_same_command(folder, before, command)
        before = {}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = {
        "status": status,
        "started": before.get("started", now),
        "updated": now,
        "kind": command,
        "command": typed(),  # for people; nothing is decided by it
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": versions(),
        "settings": settings,
        **results,
    }
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    atomic_write(folder / RECORD, text.encode("utf-8", "backslashreplace"))  # file names need not be UTF-8


def _require_same_command(folder: Path, before: dict[str, Any], ours: Command) -> None:
    """Refuse a folder that holds the results of another command, which would be written over."""
    words = before.get("command")
    typed = words[1] if isinstance(words, list) and len(words) > 1 else None  # of records without a kind
    theirs = before.get("kind", typed)
    if theirs in get_args(Command) and theirs != ours:
        raise OutputError(
            f"{folder} holds the results of `detector {theirs}`", expected="a folder of its own", hint="another --out"
        )


def read_run(folder: Path) -> dict[str, Any] | None:
    """The record of a folder, or None where there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def versions() -> dict[str, str]:
    """Versions of this program and of what decides its numbers, as far as they are installed."""
    return {name: installed for name in _PACKAGES if (installed := _version(name))}


def git_commit() -> str | None:
    """Commit of the source checkout this runs from, None outside one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
