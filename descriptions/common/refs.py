"""How people name a version: `capsule`, `capsule@2`, `capsule@reviewed`."""

import re
from typing import NamedTuple

from descriptions.common.errors import BadReferenceError

LATEST = "latest"
"""The label that always points at the highest version; it is computed, never stored."""

DEFAULT = "default"
"""What a bare name means: the version this label points at where a library sets it, else the latest."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a category or a label may be called; such a name is safe as a file name everywhere."""


class Ref(NamedTuple):
    """A category and which version of it."""

    category: str
    version: int | str = DEFAULT
    """A number, or a label."""

    def __str__(self) -> str:
        return f"{self.category}@{self.version}"


def parse_ref(text: str) -> Ref:
    """Read `category`, `category@2` or `category@label`; `Metal nut` may stand for `metal_nut`.

    Raises:
        BadReferenceError: anything else, `../` and absolute paths included.
    """
    category, at, version = text.partition("@")
    if re.fullmatch(r"[A-Za-z0-9_ -]{1,64}", category):
        category = slug(category)
    if not NAME.fullmatch(category):
        raise BadReferenceError(f"category {category!r}", expected="letters, digits, _ and - (at most 64)")
    if not at:
        return Ref(category)
    if re.fullmatch(r"v?[1-9][0-9]{0,8}", version):
        return Ref(category, int(version.removeprefix("v")))
    if not NAME.fullmatch(version):
        raise BadReferenceError(
            f"version {version!r} in {text!r}", expected="a number or a label", hint=f"type {category}@1 or {category}"
        )
    return Ref(category, version)


def check_label(label: str) -> None:
    """Refuse what cannot be a label.

    Raises:
        BadReferenceError: it is no name, or `latest`, which moves by itself.
    """
    if label == LATEST or not NAME.fullmatch(label) or re.fullmatch(r"v?[0-9]+", label):
        raise BadReferenceError(
            f"label {label!r}", expected="a lower-case name other than latest, and no number", hint="such as reviewed"
        )


def slug(name: str) -> str:
    """A category name made of free words: `Metal nut` becomes `metal_nut`."""
    return re.sub(r"[^a-z0-9-]+", "_", name.lower()).strip("_-")[:64]
