"""The page about the code is true: its drawing, its table, and the walks, which are compared with real runs."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from typer.testing import CliRunner

from detector.cli.app import app as detector_app
from prompt_forge.cli.app import app as prompt_forge_app
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.detecting import command, make_workplace
from tests.support.servers import chat, serve
from tools.docs import architecture

ROOT = architecture.ROOT
LOOSE = 6
"""Files, at most, that a package with rooms may hold beside them."""
LONGEST = 8
"""Functions, at most, in a walk."""


def walks() -> dict[str, list[str]]:
    """Functions of each walk, as `module:name`, by its title."""
    functions: dict[str, list[str]] = {}
    for title, body in re.findall(r"### (.*?)\n(.*?)(?=\n##)", architecture.PAGE.read_text("utf-8"), re.DOTALL):
        functions[title] = re.findall(r"^\| `([\w.]+:[\w.]+)` \|", body, re.MULTILINE)
    return functions


@contextmanager
def called() -> Iterator[list[str]]:
    """Our functions in the order in which they are first called, on any thread."""
    order: dict[CodeType, None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            order.setdefault(frame.f_code)

    names: list[str] = []
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        names.extend(_name(code) for code in order if _is_ours(code))


def _is_ours(code: CodeType) -> bool:
    file = Path(code.co_filename)
    return file.is_relative_to(ROOT) and ".venv" not in file.parts


def _name(code: CodeType) -> str:
    module = ".".join(Path(code.co_filename).relative_to(ROOT).with_suffix("").parts)
    return f"{module}:{code.co_qualname}"


def test_the_drawing_and_the_table_are_those_of_the_imports() -> None:
    rooms = architecture.rooms()
    assert architecture.circles(rooms) == []
    page = architecture.PAGE.read_text("utf-8")
    assert architecture.page(page) == page, "out of date: python -m tools.docs.architecture"
    assert architecture.PICTURE.read_bytes() == architecture.picture(rooms), "python -m tools.docs.architecture"


@pytest.mark.parametrize("house", architecture.HOUSES)
def test_few_files_stand_beside_the_rooms(house: str) -> None:
    loose = sorted(path.name for path in (ROOT / house).glob("*.py"))
    assert len(loose) <= LOOSE, loose


def test_walks_are_short() -> None:
    assert len(walks()) == 4
    assert {title: len(steps) for title, steps in walks().items() if not 3 < len(steps) <= LONGEST} == {}


def in_order(title: str, names: list[str]) -> None:
    steps = walks()[title]
    assert [step for step in steps if step not in names] == []
    assert steps == sorted(steps, key=names.index)


def test_the_walks_of_a_phrase_and_of_a_photo(tmp_path: Path) -> None:
    home = make_workplace(tmp_path, photos=2)
    with called() as names:
        result = CliRunner().invoke(detector_app, command(home, "--out", str(home / "out")))
    assert result.exit_code == 0, result.output
    in_order("A phrase, from its YAML file to a score", names)
    in_order("A photo, from the command to the report", names)


def test_the_walk_of_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    entries = '{"anomalies": [{"text": "deep crack in the shell"}, {"text": "blue ink smear on the shell"}]}'
    with serve(lambda _: chat(entries)) as served, called() as names:
        words = ["generate", "--category", "capsule", "--descriptions-dir", str(tmp_path / "library")]
        words += ["--base-url", served.url, "--model", "served", "--count", "2"]
        result = CliRunner().invoke(prompt_forge_app, words)
    assert result.exit_code == 0, result.output
    in_order("An answer, from HTTP to YAML", names)


def test_the_walk_of_a_training_step(tmp_path: Path) -> None:
    from descriptions.format.schema import Anomaly, DescriptionFile
    from descriptions.store import Store
    from detector.data.material import gather
    from detector.runs.train import finish
    from detector.train.config import TrainConfig
    from detector.train.session import TrainingRun

    entry = Anomaly(id="hole", text="dark round hole")
    store = Store(tmp_path / "library")
    store.save(DescriptionFile(category="gear", object_name="gear", anomalies=(entry,)))
    material = gather(make_dataset(tmp_path / "data", ("gear",), good=4, bad=4), "test", store=store)
    config = TrainConfig(main_epochs=1, adapter_epochs=0, batch_size=2)
    with called() as names:
        finish(TrainingRun(tiny_filo, material, config, tmp_path / "run"))
    in_order("A training step", names)


PAGES = sorted(path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if path.name != "CHANGELOG.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"(?<![\w/.-])((?:[a-z_]+/)+\w+\.py)\b", page.read_text("utf-8"))
    ours = {name for name in named if (ROOT / name.split("/")[0]).is_dir()}
    assert sorted(name for name in ours if not (ROOT / name).is_file()) == []
