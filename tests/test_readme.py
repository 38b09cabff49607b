"""The README is true: every console block is run, in order, and shows what is printed (`...` stands for any text)."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """One command of a console block and the output shown under it."""

    line: str
    shown: str


def commands(text: str) -> list[Command]:
    """All `$ command` lines of the console blocks, each with what follows it."""
    found = []
    for block in FENCE.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            found.append(Command(line, shown))
    return found


def run(command: Command, folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run with the scripts of this environment, away from the user's own cache and configuration."""
    scripts = str(Path(sys.executable).parent)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "COV_"))}
    env |= {"PATH": f"{scripts}{os.pathsep}{env['PATH']}", "HOME": str(home), "COLUMNS": "110", "NO_COLOR": "1"}
    env |= {"XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config"), "EDITOR": "true"}
    return subprocess.run(
        ["bash", "-c", command.line], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.slow
def test_the_readme_shows_what_its_commands_print(tmp_path: Path) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    blocks = commands((ROOT / "README.md").read_text())
    assert blocks, "the README shows no command with its output"
    for command in blocks:
        if shlex.split(command.line)[0] == "make":
            continue  # the two set-up commands are what CI itself calls
        done = run(command, work, home)
        assert done.returncode == 0, f"{command.line}\n{done.stdout}{done.stderr}"
        assert checker.check_output(command.shown, done.stdout, flags), (
            f"README shows for `{command.line}`:\n{command.shown}\nbut it prints:\n{done.stdout}"
        )


def test_links_between_our_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("d*/**/*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken, broken
