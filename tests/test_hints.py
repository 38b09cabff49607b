"""Every option that a message names exists on the command that shows it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import ROOT, TOOLS

OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z0-9]*(?:-[a-z0-9]+)*\b(?!-…)")  # a name with a blank is a CSS variable
CALL = re.compile(r"\b(prompt-forge|detector) ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?[^;,.()]*?(?=;|,|\.|\)|$)")

OWNERS = {
    "prompt_forge": ("prompt-forge", None),
    "prompt_forge/llm": ("prompt-forge", "generate"),
    "prompt_forge/generation/generate.py": ("prompt-forge", "generate"),
    "prompt_forge/generation/prepare.py": ("prompt-forge", "generate"),
    "prompt_forge/generation/strategies.py": ("prompt-forge", "generate"),
    "prompt_forge/llm/health.py": ("prompt-forge", "doctor"),
    "descriptions": (None, None),
    "detector": ("detector", None),
    "detector/runs/doctor.py": ("detector", None),
    "detector/serve/page/drafting.py": ("prompt-forge", "generate"),
}
"""Which command shows the messages of a file or folder; None: not known. The longest name wins."""

VALUE = "\N{HORIZONTAL ELLIPSIS}"
"""Stands where an f-string has a value."""

FOREIGN = {
    "prompt_forge/llm/install.py": {
        "--disable-pip-version-check",
        "--quiet",
        "--force-reinstall",
        "--no-deps",
        "--require-hashes",
    },
    "detector/data/fetch.py": {
        "--no-deps",
        "--only-binary",
        "--target",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--no-warn-script-location",
        "--retries",
    },
}
"""Options of other programs that a file calls."""


def leaves(command, path=()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Every command below `command` with its options."""
    own = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    yield path, own
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))


KNOWN = {tool: dict(leaves(command)) for tool, command in TOOLS.items()}


def docstrings(tree: ast.AST) -> set[int]:
    """Constants that stand alone: docstrings of modules, classes, functions and fields."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a file that a program may show; values in f-strings are `VALUE`."""
    tree = ast.parse(path.read_text("utf-8"))
    alone, inside = docstrings(tree), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in alone:
            inside |= {id(part) for part in node.values}
            yield (
                node.lineno,
                "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in node.values),
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (alone | inside):
            yield node.lineno, node.value


def owner(name: str) -> tuple[str | None, str | None]:
    """Tool and command that show what stands in a file; a file in `cli/` or `runs/` is called as its command is."""
    tool, command = OWNERS[max((key for key in OWNERS if f"{name}/".startswith(f"{key}/")), key=len)]
    stem = Path(name).stem
    if (
        name not in OWNERS
        and re.search("/(cli|runs)/", name)
        and tool
        and any(path[:1] == (stem,) for path in KNOWN[tool])
    ):
        command = stem
    return tool, command


def options(tool: str | None, command: str | None) -> set[str]:
    """What may be typed: after one command, or after any where it is not known."""
    return {
        option
        for name, commands in KNOWN.items()
        for path, own in commands.items()
        if tool in {None, name} and command in {None, *path[:1]}
        for option in own
    }


def wrong(text: str, tool: str | None, command: str | None) -> set[str]:
    """Options in a sentence that do not exist where the sentence, or its file, says they are."""
    missing = set()
    for call in CALL.finditer(text):
        if (call[2],) in KNOWN[call[1]]:
            missing |= set(OPTION.findall(call[0])) - options(call[1], call[2])
    return missing | (set(OPTION.findall(CALL.sub("", text))) - options(tool, command))


FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("prompt_forge", "descriptions", "detector")
    for path in (ROOT / package).rglob("*.py")
)


@pytest.mark.parametrize("name", FILES)
def test_every_option_in_a_message_exists(name: str) -> None:
    tool, command = owner(name)
    faults = {
        f"line {line}: {', '.join(sorted(missing))} in {text!r}"
        for line, text in sentences(ROOT / name)
        if (missing := wrong(text, tool, command) - FOREIGN.get(name, set()))
    }
    assert not faults


def test_a_wrong_name_would_be_noticed(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text(
        '"""--docs"""\nx = f"raise --timeouts for {1}"\ny = "type detector eval --colour red; --model m"\n'
    )
    texts = [text for _, text in sentences(source)]
    assert [wrong(text, "prompt-forge", "generate") for text in texts] == [{"--timeouts"}, {"--colour"}]
    assert wrong("raise --timeout", "prompt-forge", "generate") == set()
    assert wrong("raise --timeout", "prompt-forge", "doctor") == {"--timeout"}
