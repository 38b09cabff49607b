"""How a command ends: one line, the right exit code, no escape codes."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from descriptions.errors import ForgeError
from descriptions.terminal import printable, run


class PartlyDoneError(ForgeError):
    exit_code = 1


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


def test_success_leaves_zero(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(lambda: None)
    assert left.value.code == 0


def test_a_closed_pipe_is_no_error() -> None:
    script = "from descriptions.terminal import run\nrun(lambda: [print('x' * 100) for _ in range(10_000)])"
    done = subprocess.run(
        f'"{sys.executable}" -c "{script}" | head -1', shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("a\x1b]0;title\x07b\tc\nd\x9b2J") == "a\ufffd]0;title\ufffdb\tc\nd\ufffd2J"
