"""What a phrase asks for: a defect or a part of the product, on which part, and on which side.

DetectorError
+-- PhraseError     a phrase that holds nothing to look for, or too much
"""

import re
from typing import Literal, NamedTuple

from pydantic import ValidationError

from descriptions.common.errors import wanted
from descriptions.common.refs import slug
from descriptions.format.schema import Anomaly, DescriptionFile
from detector.errors import DetectorError
from detector.localize.regions import Region

Kind = Literal["defect", "part"]

_SIDES: dict[str, Region] = {
    "upper left": "top left", "top left": "top left", "upper right": "top right", "top right": "top right",
    "lower left": "bottom left", "bottom left": "bottom left", "lower right": "bottom right",
    "bottom right": "bottom right", "upper": "top", "top": "top", "lower": "bottom", "bottom": "bottom",
    "left": "left", "right": "right", "middle": "center", "central": "center",
}  # fmt: skip
_ARTICLE = re.compile(r"^(the|a|an)\s+", re.IGNORECASE)
_ON = re.compile(r"\s+(?:on|in|at|of)\s+the\s+", re.IGNORECASE)
_SIDE = re.compile(rf"^({'|'.join(_SIDES)})\s+(?=\S)", re.IGNORECASE)


class PhraseError(DetectorError):
    """A phrase that holds nothing to look for, or more than the model reads."""


class Phrase(NamedTuple):
    """A phrase taken apart by its grammar; no model takes part."""

    given: str
    """As a person wrote it."""
    text: str
    """What the model reads, without article, side and place."""
    kind: Kind
    """`the cap` names a part that every product has; `scratch on the cap` and `a scratch` name a defect."""
    on: str = ""
    """Part that a defect lies on, such as `cap`."""
    side: Region | None = None
    """Side that tells several things of the kind apart: `the left pin`."""

    @classmethod
    def parse(cls, given: str, parts: tuple[str, ...] = ()) -> "Phrase":
        """Take a phrase apart.

        Args:
            given: such as `scratch on the cap` or `the left pin`.
            parts: words that are known to name parts of the product, with or without an article.

        Raises:
            PhraseError: no word in it.
        """
        words = " ".join(given.split())
        if not re.search(r"\w", words):
            raise PhraseError(f"the phrase {given!r} has no word", expected="such as 'scratch on the cap'")
        article = _ARTICLE.match(words)
        head, *places = _ON.split(words[article.end() :] if article else words, maxsplit=1)
        side = _SIDE.match(head)
        text = head[side.end() :] if side else head
        definite = article is not None and article[1].lower() == "the"
        known = any(text.lower() == part.lower() for part in parts)
        kind: Kind = "part" if known or (definite and not places) else "defect"
        return cls(given, text, kind, places[0] if places else "", _SIDES[side[1].lower()] if side else None)

    def description(self, object_name: str) -> DescriptionFile:
        """What the detector reads for this phrase alone.

        A defect is read as in training, `abnormal <object> with <text>`; a part as `<text> of a <object>`. On the other
        side stand the product's normal states, or its bare name.

        Raises:
            PhraseError: a phrase or object name that no description file takes.
        """
        is_part = self.kind == "part"
        states = {"normal": ("{}",), "abnormal": (f"{_literal(self.text)} of a {{}}",)} if is_part else {"abnormal": ()}
        try:
            return DescriptionFile(
                category=slug(object_name) or "product",
                object_name=object_name,
                anomalies=() if is_part else (Anomaly(id="phrase", text=self.text),),
                **states,
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            what = "object_name" if first["loc"] == ("object_name",) else "phrase"
            raise PhraseError(f"{what} {first['input']!r}", expected=wanted(first["msg"])) from error


def _literal(text: str) -> str:
    """Text without braces, which stand for the object name in a state."""
    return text.replace("{", "").replace("}", "")
