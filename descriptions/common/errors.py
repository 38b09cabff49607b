"""Errors that end as one clear line on the screen.

    ForgeError                      what came, what was expected, what to type
    +-- DescriptionError            everything this package raises
    |   +-- BadReferenceError       `capsule@@2`, `../x`
    |   +-- UnknownCategoryError    no such folder in the library
    |   +-- ExistingCategoryError   a name that is taken
    |   +-- UnknownVersionError     no such number, no such label
    |   +-- InvalidFileError        damaged or hand-broken YAML: file, line, field, hint
    |   +-- UnsafePathError         a link or name that leaves the library
    |   +-- ReadOnlyLibraryError    the packaged library, or a folder without write permission
    +-- SettingsError               a configuration file, variable or flag that makes no sense
    +-- PromptForgeError            prompt_forge.errors
    +-- DetectorError               detector.errors

Every package derives its own branch from `ForgeError`, so one handler (`descriptions.common.terminal.run`) serves all
command lines.
"""

import re
from difflib import get_close_matches
from typing import ClassVar


class ForgeError(Exception):
    """A problem the user can act on; `str()` of it is exactly one line.

    Args:
        problem: what was found, with the offending value.
        expected: what would have been right.
        hint: what to type or do next.
    """

    exit_code: ClassVar[int] = 2
    """2 wrong use, 1 done in part or a quality gate not met (design, section 7)."""

    def __init__(self, problem: str, *, expected: str = "", hint: str = "") -> None:
        self.problem, self.expected, self.hint = problem, expected, hint
        parts = [problem, expected and f"expected {expected}", hint]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))


class DescriptionError(ForgeError):
    """Base of everything this package raises."""


class BadReferenceError(DescriptionError):
    """A reference that cannot name a version."""


class UnknownCategoryError(DescriptionError):
    """The library has no such category."""


class ExistingCategoryError(DescriptionError):
    """The library has the category already."""


class UnknownVersionError(DescriptionError):
    """The category has no such version or label."""


class InvalidFileError(DescriptionError):
    """A file that is not a valid description file."""


class UnsafePathError(DescriptionError):
    """A path that would leave the library."""


class ReadOnlyLibraryError(DescriptionError):
    """A library that cannot be written to."""


class SettingsError(ForgeError):
    """A configuration file, environment variable or flag that makes no sense."""


def wanted(message: str) -> str:
    """What was expected, out of pydantic's words: `Input should be a valid integer, unable to ...` is that integer."""
    if "valid path" in message:
        return "a path"
    expectation = re.split(r", unable to|, got | after validation", message)[0]
    return re.sub(r"^Input should be |^Tuple should have ", "", expectation)


def nearest(name: str, known: list[str]) -> str:
    """A hint that offers the closest of `known`, or the empty string when none is close."""
    match = get_close_matches(name, known, n=1)
    return f"did you mean {match[0]}?" if match else ""
