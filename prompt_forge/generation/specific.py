"""How specific a phrase is: whether it names a part of the product, and whether it says how the defect looks.

Used to choose between several answers of a small model, and to count how good its drafts are.
"""

from collections.abc import Iterable

from descriptions.common.words import stem, words

LOOKS = {
    "size": "tiny small large big long short thin thick wide narrow broad deep shallow fine coarse",
    "shape": "round oval square pointed sharp jagged ragged straight curved crooked wavy branching hairline parallel "
    "crossing irregular uneven hollow flat raised sunken swollen bulging",
    "colour": "black blackened brown brownish red reddish orange yellow yellowish green greenish blue bluish white "
    "whitish gray grey silver dark pale bright light faded",
    "shine": "cloudy milky shiny glossy dull matte greasy oily",
    "make": "grainy powdery flaky rough loose tangled frayed scattered clustered hanging peeling sagging crumbled open",
}
"""Words for how a defect looks, by what they tell. A kind of defect (`bent`, `crack`) is not one."""

LOOK = frozenset(word for listed in LOOKS.values() for word in listed.split())
"""All of `LOOKS`."""


def look_words(text: str) -> frozenset[str]:
    """The words of `text` that say how the defect looks.

    >>> sorted(look_words("long dark scratch on the cap"))
    ['dark', 'long']
    """
    return LOOK.intersection(words(text))


def names_part(text: str, parts: Iterable[str]) -> bool:
    """Whether a word of one of `parts` stands in `text`, in any form.

    >>> names_part("worn teeth and threads", ["thread"])
    True
    """
    stems = {stem(word) for word in words(text)}
    return any(stem(word) in stems for part in parts for word in words(part))


def specificity(text: str, parts: Iterable[str]) -> int:
    """0 where `text` names neither a part nor a look, 1 for one of the two, 2 for both."""
    return names_part(text, parts) + bool(look_words(text))
