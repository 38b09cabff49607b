"""The README is true: every console block is run, in order, and shows what is printed (`...` stands for any text)."""

import re
import shlex
from pathlib import Path

import pytest

from tests.support.console import ROOT, commands, run


@pytest.mark.slow
@pytest.mark.timeout(1800)  # the machine may be busy
def test_the_readme_shows_what_its_commands_print(tmp_path: Path) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    blocks = commands((ROOT / "README.md").read_text())
    assert blocks, "the README shows no command with its output"
    for command in blocks:
        if shlex.split(command.line)[0] == "make":
            continue  # the two set-up commands are what CI itself calls
        done = run(command, work, home)
        assert done.returncode == 0, f"{command.line}\n{done.stdout}{done.stderr}"
        assert command.matches(done.stdout), (
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
