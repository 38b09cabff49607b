"""Words as the linter, the filter of model answers and the merging of ensembles see them: one definition for all.

Three questions: which words of a phrase carry its meaning, which words say nothing a camera could confirm, and when
two phrases mean the same.
"""

import re
from collections.abc import Iterable
from functools import lru_cache


def _set(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


FILLER = _set(
    "a an the of in on at to by from with and or for is are has have it its where that this some any across along "
    "around near"
)
"""Words without a meaning of their own."""

SENSES = {
    "smell": _set("smell smells smelly odour odor odorous odorless stink stinks scent aroma"),
    "sound": _set("sound sounds noise noisy rattle rattles rattling squeak squeaks squeaking audible hum humming"),
    "taste": _set("taste tastes bitter sour flavour flavor"),
    "touch": _set("feel feels hardness softness stiffness stickiness tactile"),
    "temperature or weight": _set("temperature overheated overheating overweight underweight"),
    "time or function": _set(
        "expired outdated slow slowly late delayed intermittent intermittently malfunction malfunctioning "
        "unresponsive voltage conductivity toxic"
    ),
}
"""Words for what no camera sees, by the sense that would be needed."""

MAYBE_UNSEEN = _set("hard soft brittle sticky stiff hot warm cold weight lightweight old age aged stale")
"""Words that mostly name what is felt, but may be part of a visible defect (`cold solder joint`)."""

GENERIC = _set(
    "abnormal abnormality anomalies anomaly anomalous bad broken damage damaged damages defect defective defects "
    "different error fault faults faulty flaw flawed flaws imperfection imperfections irregularity issue issues "
    "misc other others problem problems strange unknown unusual wrong"
)
"""Words that say that something is wrong and not what."""

POSITIONS = _set("top bottom left right center centre middle upper lower")
"""The position is written behind the text where it was found; a position inside the text contradicts it."""

PLACES = _set("corner corners above below underneath front back rear inside")
"""Positions in a wider sense. People may mean a part of the product; a model that guesses one misleads."""

NEAR = 0.7
"""Phrases that share this much of their content words (Jaccard) mean the same."""

_SAME = {
    "tiny": "small",
    "little": "small",
    "minor": "small",
    "big": "large",
    "huge": "large",
    "colour": "color",
    "grey": "gray",
}
_REMEMBERED = 4096


def words(text: str) -> list[str]:
    """The content words of `text`, lower case, in order.

    >>> words("A deep crack in the Cap")
    ['deep', 'crack', 'cap']
    """
    return [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in FILLER]


def stem(word: str) -> str:
    """A word without the endings that do not change what is seen: `cracks`, `cracked` and `cracking` are `crack`."""
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def likeness(one: str, other: str) -> float:
    """Share of content words two phrases have in common, in [0, 1]; word order does not matter."""
    left, right = _signature(one), _signature(other)
    return len(left & right) / len(left | right) if left | right else 1.0


@lru_cache(_REMEMBERED)
def _signature(text: str) -> frozenset[str]:
    return frozenset(stem(_SAME.get(word, word)) for word in words(text))


def is_near(text: str, others: Iterable[str]) -> bool:
    """Whether `text` means the same as one of `others`."""
    return any(likeness(text, other) >= NEAR for other in others)
