"""The glossary names things that exist, and the words that it replaces are gone from the code."""

import importlib
import io
import re
import tokenize
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROWS = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)[1:]
DOTTED = [name for _, code in ROWS for name in re.findall(r"`((?:detector|descriptions|prompt_forge)\.[\w.]+)`", code)]
EMPTY_WORDS = {"found", "came", "chosen", "heat", "heats", "heat_map"}
"""Names of locals that do not say what they hold, and other names of the anomaly map."""
PARTS = ("detector", "prompt_forge", "descriptions", "benchmarks", "tools/docs")


def resolved(name: str) -> object:
    """The thing of a dotted name."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part)
        return thing
    raise AssertionError(f"no module in {name}")


@pytest.mark.parametrize("name", DOTTED)
def test_what_the_glossary_names_exists(name: str) -> None:
    assert resolved(name) is not None


def test_the_glossary_is_read_and_sorted() -> None:
    words = [word for word, _ in ROWS]
    assert len(words) > 25
    assert words == sorted(words, key=str.lower)
    assert len(DOTTED) > 8


def assigned(path: Path) -> set[str]:
    """Names in a file that are no attributes and no keyword arguments."""
    tokens = list(tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline))
    return {
        token.string
        for before, token in pairwise(tokens)
        if token.type == tokenize.NAME and before.string not in (".", "def", "class")
    }


def test_names_say_what_they_hold() -> None:
    files = [
        path for part in PARTS for path in (ROOT / part).rglob("*.py") if ROOT / "detector/context" not in path.parents
    ]
    assert len(files) > 200
    wrong = {str(path.relative_to(ROOT)): names for path in files if (names := assigned(path) & EMPTY_WORDS)}
    assert wrong == {"detector/runs/doctor.py": {"found"}}, "a key of the JSON that `detector doctor` prints"
