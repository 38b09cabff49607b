"""How both command lines end: results on stdout, one line of trouble on stderr, an exit code that means something."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from descriptions.common.errors import ForgeError
from descriptions.common.extras import EXTRAS, MissingExtraError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """`text` without control characters, so that no model output or file can drive the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def show_version(asked: bool) -> None:
    """The callback of `--version`."""
    if asked:
        from importlib.metadata import version  # costs every other command a tenth of its start

        print(f"filo-forge {version('filo-forge')}")
        raise SystemExit(0)


def create_app(typer: Any, name: str, *, summary: str, example: str) -> Any:
    """The root of a command line, to which its commands are added: help without arguments, and `--version`.

    Args:
        typer: the module, which this package does not depend on.
        name: of the command.
        summary: what `--help` says first.
        example: what to type first.
    """
    app = typer.Typer(
        name=name,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        epilog=f"Example: `{example}`",
        help=summary,
    )
    version = typer.Option(False, "--version", is_eager=True, callback=show_version, help="Show the version and exit.")

    def root(_version: bool = version) -> None:
        """Keeps `NAME COMMAND` a group however many commands there are."""

    app.callback()(root)
    return app


_typed: list[str] = []


def typed() -> list[str]:
    """The command that this process runs, word by word; empty in a program that uses our code as a library."""
    return list(_typed)


def run(app: Callable[..., object], **options: Any) -> NoReturn:
    """Run a command-line application and leave with its exit code.

    A `ForgeError` becomes `error: ...` on stderr, and so does wrong use of the command line; Ctrl-C is `interrupted`
    and 130, also where the application (typer does) turned it into an exit of its own; a closed pipe (`| head`) is no
    error. A missing optional package is one line with what to install.

    Args:
        app: what to run; the exit code it returns counts.
        options: given to it; a typer application wants `standalone_mode=False`, so that its complaints come here.
    """
    code: object = 0
    _typed[:] = [Path(sys.argv[0]).name, *sys.argv[1:]]
    try:
        code = app(**options)
    except ForgeError as error:
        sys.exit(_refusal(error))
    except SystemExit as left:
        code = left.code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ModuleNotFoundError as error:  # commands ask before they work; this is for what slipped through
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        code = _refusal(MissingExtraError("this command", module))
    except Exception as error:
        code = _complaint(error)
    if code == INTERRUPTED:
        print("interrupted", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


def _refusal(error: ForgeError) -> int:
    print(f"error: {printable(str(error))}", file=sys.stderr)
    return error.exit_code


def _complaint(error: Exception) -> int:
    """Show what click objects to, and return the exit code; anything else goes on as it is.

    Typer carries click under a name of its own, and this package knows neither: hence the names of the classes.
    """
    if type(error).__name__ == "Abort":  # Ctrl-C or no more input at a question
        return INTERRUPTED
    if not hasattr(error, "format_message"):
        raise error
    if type(error).__name__ != "NoArgsIsHelpError":  # the whole help was shown already
        print(f"error: {printable(_wrong_use(error))}", file=sys.stderr)
    return 2


def _wrong_use(error: Any) -> str:
    """One line: what came, what was expected, what to type."""
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.partition(", unable to parse")[0]
    message = message.replace("Value error, ", "").replace("Input should be", "expected")
    reasons = getattr(error.__cause__ or error.__context__, "errors", None)
    if reasons and (value := repr(reasons()[0]["input"])) not in message:
        message += f", not {value}"
    where = getattr(error.ctx, "command_path", "")
    return f"{message}; type {where} --help" if where else message
