"""Commands as our pages show them.

The convention: a `console` fence holds commands after `$ ` with what they print, and a test runs it, in order, page by
page. A `bash` fence holds commands that need a server, a download, a GPU or images of one's own; they are parsed only.
"""

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import typer

from detector.cli.app import app as detector
from prompt_forge.cli.app import app as prompt_forge

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS: dict[str, Any] = {
    "detector": typer.main.get_command(detector),
    "prompt-forge": typer.main.get_command(prompt_forge),
}

_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(r"^```text\n.*?^```$", re.MULTILINE | re.DOTALL)
_CHECKER, _FLAGS = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Command(NamedTuple):
    """One command of a console block and the output shown under it; `...` stands for any text."""

    line: str
    shown: str

    def matches(self, printed: str) -> bool:
        """Whether this is what was printed, white space aside."""
        return _CHECKER.check_output(self.shown, printed, _FLAGS)


def commands(text: str) -> list[Command]:
    """All `$ command` lines of the console blocks, each with what follows it; a trailing backslash goes on."""
    lines = []
    for block in _CONSOLE.findall(text):
        for part in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            lines.append(Command(line, shown))
    return lines


def run(command: Command, folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run with the scripts of this environment, away from the user's own cache and configuration."""
    scripts = str(Path(sys.executable).parent)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "COV_"))}
    env |= {"PATH": f"{scripts}{os.pathsep}{env['PATH']}", "HOME": str(home), "COLUMNS": "110", "NO_COLOR": "1"}
    env |= {"XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config"), "EDITOR": "true"}
    return subprocess.run(
        ["bash", "-c", command.line], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900
    )


def mentions(text: str) -> Iterator[list[str]]:
    """Every call of our two tools in a page, in running text or in a block, as words; `text` fences are left out."""
    plain = _TEXT.sub("", text).replace("\\\n", "")
    shown = [line.removeprefix("$ ") for line in map(str.strip, plain.splitlines())]
    for candidate in [*shown, *re.findall(r"`([^`\n]+)`", plain)]:
        try:
            words = shlex.split(candidate, comments=True)
        except ValueError:  # an apostrophe: prose
            continue
        words = list(dropwhile(re.compile(r"\w+=").match, words))
        if len(words) > 1 and words[0] in TOOLS and re.match("[a-z-]", words[1]):
            yield list(takewhile(lambda word: not re.match(r"[|&;]|\d?>", word), words))


def complaint(words: list[str]) -> str | None:
    """What the tool itself says of a call: an unknown command or option, or a value that is no choice."""
    command, name, rest = TOOLS[words[0]], words[0], list(words[1:])
    while rest and (inner := getattr(command, "commands", None)):
        if rest[0] not in inner:
            return f"{name} has no command {rest[0]}"
        name, command = f"{name} {rest[0]}", inner[rest.pop(0)]
    if all(word.startswith("--") for word in rest):  # named in a sentence, not typed
        known = {"--help", *(option for one in command.params for option in (*one.opts, *one.secondary_opts))}
        return next((f"{name} has no option {word}" for word in rest if word not in known), None)
    try:
        command.make_context(name, rest)
    except typer.Exit:  # --help
        return None
    except Exception as error:  # whatever the parser raises is the answer
        return str(error)
    return None
