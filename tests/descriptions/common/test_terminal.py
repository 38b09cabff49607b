"""How a command ends: one line, the right exit code, no escape codes."""

import importlib
import io
import subprocess
import sys
from collections.abc import Callable
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated

import pytest
import typer

from descriptions.common.errors import ForgeError
from descriptions.common.terminal import printable, run


class PartlyDoneError(ForgeError):
    exit_code = 1


class Kind(StrEnum):
    TXT = "txt"
    CSV = "csv"


def raiser(error: BaseException) -> Callable[[], None]:
    def app() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            ForgeError("unknown category 'capsul'", expected="one of: capsule, pill", hint="type capsule"),
            2,
            "error: unknown category 'capsul'; expected one of: capsule, pill; type capsule\n",
        ),
        (PartlyDoneError("2 of 3 categories written"), 1, "error: 2 of 3 categories written\n"),
        (ForgeError("two\n lines \x1b[31mred"), 2, "error: two lines \N{REPLACEMENT CHARACTER}[31mred\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (SystemExit(130), 130, "interrupted\n"),
        (SystemExit(1), 1, ""),
    ],
)
def test_trouble_is_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(raiser(error))
    assert left.value.code == code
    assert capsys.readouterr() == ("", line)


COMMANDS = typer.Typer(name="tool", pretty_exceptions_enable=False)


@COMMANDS.command()
def go(
    place: Annotated[str, typer.Argument(metavar="PLACE")],
    count: Annotated[int, typer.Option(min=1)] = 1,  # noqa: ARG001  # refused values are what is tested
    kind: Annotated[Kind, typer.Option()] = Kind.TXT,  # noqa: ARG001
    code: int = 0,
) -> None:
    if place == "ask":
        typer.confirm("sure?", err=True)
    raise typer.Exit(code)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", ["Missing argument 'PLACE'; type tool --help"]),
        ("here --cuont 3", ["--cuont", "--count", "; type tool --help"]),
        ("here --count x", ["'--count': expected a valid integer, not 'x'; type tool --help"]),
        ("here --count 0", ["'--count': expected ", " 1, not '0'; type tool --help"]),
        ("here --kind pdf", ["'--kind': 'pdf' is not one of 'txt', 'csv'; type tool --help"]),
        ("here there", ["(there); type tool --help"]),
        ("here --count", ["'--count' requires an argument"]),
    ],
)
def test_wrong_use_is_one_line_too(typed: str, told: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(COMMANDS, standalone_mode=False, args=typed.split(), prog_name="tool")
    shown = capsys.readouterr()
    assert (left.value.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert shown.err.startswith("error: ")
    assert all(piece in shown.err for piece in told), shown.err


@pytest.mark.parametrize(("typed", "code"), [("here", 0), ("here --code 1", 1), ("ask", 130), ("--help", 0)])
def test_the_exit_code_of_a_command_is_kept(
    typed: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(SystemExit) as left:
        run(COMMANDS, standalone_mode=False, args=typed.split(), prog_name="tool")
    assert left.value.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_no_wrong_use() -> None:
    with pytest.raises(ZeroDivisionError):
        run(raiser(ZeroDivisionError()))


@pytest.mark.parametrize("cli", ["prompt_forge.cli.app", "detector.cli.app"])
def test_both_tools_tell_their_version_and_show_help_alone(
    cli: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main = importlib.import_module(cli).main
    monkeypatch.setattr("sys.argv", ["tool", "--version"])
    with pytest.raises(SystemExit) as left:
        main()
    assert (left.value.code, capsys.readouterr().out) == (0, f"filo-forge {version('filo-forge')}\n")
    monkeypatch.setattr("sys.argv", ["tool"])
    with pytest.raises(SystemExit) as left:
        main()
    shown = capsys.readouterr()
    assert (left.value.code, shown.err, "Commands" in shown.out) == (2, "", True)


def test_success_leaves_zero() -> None:
    with pytest.raises(SystemExit) as left:
        run(lambda: None)
    assert left.value.code == 0


def test_a_closed_pipe_is_no_error() -> None:
    script = "from descriptions.common.terminal import run\nrun(lambda: [print('x' * 100) for _ in range(10_000)])"
    done = subprocess.run(
        f'"{sys.executable}" -c "{script}" | head -1', shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("a\x1b]0;title\x07b\tc\nd\x9b2J") == "a\ufffd]0;title\ufffdb\tc\nd\ufffd2J"
