"""A Python with the default install only, made of links into the running environment; nothing is downloaded."""

import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
OURS = ("descriptions", "detector", "prompt_forge", "templates")


def closure(name: str, extras: Sequence[str] = ()) -> dict[str, Distribution]:
    """All distributions that installing `name` with `extras` brings, by normalised name, itself included."""
    installed: dict[str, Distribution] = {}
    waiting = [(name, frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, wanted = waiting.pop()
        key = (re.sub(r"[-_.]+", "-", name).lower(), frozenset(wanted))
        if key in seen:
            continue
        seen.add(key)
        try:
            installed[key[0]] = distribution(name)
        except PackageNotFoundError:
            continue  # a requirement of another platform or Python
        for line in installed[key[0]].requires or ():
            requirement = Requirement(line)
            markers = [{"extra": extra} for extra in (*wanted, "")]
            if requirement.marker is None or any(requirement.marker.evaluate(each) for each in markers):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return installed


class DefaultInstall:
    """Runs the console scripts as after `pip install filo-forge`, with the given extras and nothing else.

    Args:
        folder: an empty folder for the links.
        extras: of the project.
        without: distributions left out with all that only they bring, to see what happens when they are missing.
    """

    def __init__(self, folder: Path, extras: Sequence[str] = (), without: Sequence[str] = ()) -> None:
        self.site = folder
        for name, each in closure("filo-forge", extras).items():
            if name not in without:
                self._link(each, only_facts=name == "filo-forge")
        for name in OURS:
            (folder / name).symlink_to(ROOT / name)

    def _link(self, package: Distribution, *, only_facts: bool) -> None:
        """Link a package; of our own, only what says its version, since its code comes from the checkout."""
        base = Path(str(package.locate_file("")))
        for top in {Path(each.parts[0]) for each in package.files or () if each.parts[0] not in ("..", "__pycache__")}:
            if only_facts and top.suffix != ".dist-info":
                continue
            link, target = self.site / top, base / top
            if target.exists() and not link.is_symlink():
                link.symlink_to(target)

    def run(
        self, script: str, arguments: Sequence[str], cwd: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `prompt-forge` or `detector` without a terminal; stdout and stderr are text."""
        package = script.replace("-", "_")
        code = (
            f"import sys; sys.path[:0] = [{str(self.site)!r}]; sys.argv[0] = {script!r}; "
            f"from {package}.cli.app import main; main()"
        )
        env = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "COLUMNS": "200", "EDITOR": "true", "OMP_NUM_THREADS": "1"}
        env |= environment
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, *arguments], cwd=cwd, env=env, capture_output=True, text=True,
            check=False, timeout=400, stdin=subprocess.DEVNULL,
        )  # fmt: skip
