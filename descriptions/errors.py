"""Errors that end as one clear line on the screen.

    ForgeError                      what came, what was expected, what to type
    +-- DescriptionError            a description file, reference or label (this package)
    +-- PromptForgeError            prompt_forge.errors
    +-- DetectorError               detector.errors

Every package derives its own branch from `ForgeError`, so one handler (`descriptions.terminal.run`) serves all
command lines.
"""

from typing import ClassVar


class ForgeError(Exception):
    """A problem the user can act on; `str()` of it is exactly one line.

    Args:
        came: what was found, with the offending value.
        expected: what would have been right.
        hint: what to type or do next.
    """

    exit_code: ClassVar[int] = 2
    """2 wrong use, 1 done in part or a quality gate not met (design, section 7)."""

    def __init__(self, came: str, *, expected: str = "", hint: str = "") -> None:
        self.came, self.expected, self.hint = came, expected, hint
        parts = [came, expected and f"expected {expected}", hint]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))


class DescriptionError(ForgeError):
    """Base of everything this package raises."""
