"""How both command lines end: results on stdout, one line of trouble on stderr, an exit code that means something."""

import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from descriptions.errors import ForgeError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """`text` without control characters, so that no model output or file can drive the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def run(app: Callable[[], object]) -> NoReturn:
    """Run a command-line application and leave with its exit code.

    A `ForgeError` becomes `error: ...` on stderr; Ctrl-C is `interrupted` and 130, also where the application (typer
    does) turned it into an exit of its own; a closed pipe (`| head`) is no error.
    """
    try:
        app()
    except ForgeError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as left:
        if left.code == INTERRUPTED:
            print("interrupted", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
