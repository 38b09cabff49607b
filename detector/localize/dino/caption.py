"""The caption a grounding model reads, and which of its tokens belong to which entry."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

GENERAL_WORDS = ("anomaly", "damage", "broken", "defect", "contamination")
"""Asked for beside the descriptions, as in the release."""

MAX_TOKENS = 256
"""Grounding DINO's text length, start and end token included."""


class Caption(NamedTuple):
    """Entries joined for the grounding model, with the token range of each."""

    text: str
    entries: tuple[str, ...]
    """Normalised entries, in caption order."""
    spans: tuple[range, ...]
    """Token positions of each entry; position 0 is the start token."""
    dropped: tuple[str, ...]
    """Entries left out because the text would be longer than the model reads."""


def normalised(text: str) -> str:
    """Lower case, single spaces, and no `.` or `?`, which separate entries."""
    return " ".join(re.sub(r"[.?]", " ", text.lower()).split())


def create_caption(descriptions: Iterable[str], token_count: Callable[[str], int]) -> Caption:
    """Join the general words and the descriptions into `a . b . c.`, as many whole entries as the model reads.

    Args:
        descriptions: enabled texts of a description file.
        token_count: number of tokens of a text, without start and end token.
    """
    wanted = dict.fromkeys(filter(None, map(normalised, (*GENERAL_WORDS, *descriptions))))
    entries: list[str] = []
    spans: list[range] = []
    dropped: list[str] = []
    start = 1
    for entry in wanted:
        end = start + token_count(entry)
        if end + 2 > MAX_TOKENS:  # the entry, its separator, the end token
            dropped.append(entry)
            continue
        entries.append(entry)
        spans.append(range(start, end))
        start = end + 1
    return Caption(" . ".join(entries) + ".", tuple(entries), tuple(spans), tuple(dropped))


def released_caption(descriptions: Sequence[str]) -> str:
    """The caption exactly as the release builds it."""
    caption = " . ".join((*GENERAL_WORDS, *descriptions)).lower().strip()
    return caption if caption.endswith(".") else caption + "."
