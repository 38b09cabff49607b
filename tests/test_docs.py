"""The documentation is true: its commands run or at least parse, its examples hold, its generated pages are fresh."""

import doctest
import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support.console import ROOT, TOOLS, Command, commands, complaint, mentions, run
from tools.docs import reference
from tools.docs.mount import MOUNTED, relocated

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
EVERYWHERE = [*PAGES, ROOT / "README.md", *(ROOT / name for name in MOUNTED)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.timeout(1800)  # the tutorial is a day's work, and the machine may be busy with another
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page.read_text())], ids=name)
def test_a_page_shows_what_its_commands_print(page: Path, tmp_path: Path) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    for command in commands(page.read_text()):
        done = run(command, work, home)
        assert done.returncode == 0, f"{command.line}\n{done.stdout}{done.stderr}"
        assert command.matches(done.stdout), f"`{command.line}` is shown as\n{command.shown}\nbut prints\n{done.stdout}"


@pytest.mark.parametrize("page", EVERYWHERE, ids=name)
def test_every_command_a_page_names_exists(page: Path) -> None:
    wrong = [f"{' '.join(words)}: {said}" for words in mentions(page.read_text()) if (said := complaint(words))]
    assert not wrong, "\n".join(wrong)


def test_the_check_of_commands_sees_what_is_wrong() -> None:
    block = "    X='1 2' detector eval --data d \\\n      --draw 3 # why"
    text = f"`detector detcet a.png`\n\n{block}\n\n`prompt-forge lint | cat`"
    assert [bool(complaint(words)) for words in mentions(text)] == [True, True, False]
    assert complaint(["detector", "detect", "a.png", "--category", "x", "--gate", "wide"])
    assert complaint(["prompt-forge", "prune", "--hurts"]) is None
    assert complaint(["prompt-forge", "prune", "--harms"]) == "prompt-forge prune has no option --harms"
    assert complaint(["detector", "data", "paint"]) == "detector data has no command paint"


def test_a_command_is_read_with_its_output() -> None:
    (command,) = commands("```console\n$ echo a \\\n  b\na b\n```\n```bash\n$ never\n```\n")
    assert command == Command("echo a   b", "a b\n")
    assert command.matches("a  b\n")
    assert not command.matches("c\n")


@pytest.mark.parametrize("page", [page for page in PAGES if "```pycon" in page.read_text()], ids=name)
def test_python_on_a_page_answers_as_shown(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in commands(page.read_text()):  # make what the Python reads
        assert run(command, tmp_path, tmp_path).returncode == 0, command.line
    doctests = doctest.DocTestParser().get_doctest(page.read_text(), {}, name(page), str(page), 0)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.DocTestRunner(verbose=False, optionflags=flags).run(doctests)
    assert results.attempted
    assert not results.failed, "see the difference above"


@pytest.mark.parametrize("file", sorted(reference.pages()))
def test_reference_pages_are_fresh(file: str) -> None:
    page = reference.FOLDER / file
    assert page.is_file(), f"docs/reference/{file} is missing; type: make reference"
    assert page.read_text("utf-8") == reference.pages()[file], f"docs/reference/{file} is stale; type: make reference"


def test_reference_names_every_option() -> None:
    for tool, command in TOOLS.items():
        page = reference.pages()[f"{tool}.md"]
        for sub, inner in command.commands.items():
            assert f"## {tool} {sub}" in page
            for option in (name for one in inner.params for name in one.opts if name.startswith("--")):
                assert option == "--help" or f"`{option}" in page, option


@pytest.mark.parametrize(
    ("target", "page", "link"),
    [
        ("../descriptions/README.md", "ci.md", "project/descriptions/README.md"),
        ("../../descriptions/README.md", "how-to/gpu.md", "../project/descriptions/README.md"),
        ("docs/metrics.md", "project/CHANGELOG.md", "../metrics.md"),
        ("metrics.md", "index.md", "metrics.md"),
        ("../detector/device.py", "ci.md", "../detector/device.py"),
    ],
)
def test_links_to_files_of_the_repository_become_links_between_pages(target: str, page: str, link: str) -> None:
    assert relocated(target, page) == link


@pytest.mark.slow
def test_the_site_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    for page in tmp_path.rglob("*.html"):
        loads = re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?(https?:[^\" >]+)", page.read_text())
        assert not loads, f"{page.name} loads {loads}"
    assert (tmp_path / "project" / "descriptions" / "index.html").is_file()


def test_the_citation_names_this_version() -> None:
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["preferred-citation"]["doi"] in (ROOT / "README.md").read_text()
