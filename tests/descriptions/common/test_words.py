"""Content words, stems and near-duplicates."""

from hypothesis import given
from hypothesis import strategies as st

from descriptions.common.words import (
    FILLER,
    GENERIC,
    MAYBE_UNSEEN,
    PLACES,
    POSITIONS,
    SENSES,
    is_near,
    likeness,
    stem,
    words,
)

PHRASES = st.lists(st.sampled_from(["deep", "crack", "cracks", "cap", "seam", "tiny", "small", "the"]), max_size=5).map(
    " ".join
)


@given(PHRASES, PHRASES)
def test_likeness_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert 0 <= likeness(one, other) == likeness(other, one) <= 1
    assert likeness(one, one) == 1


def test_what_is_near() -> None:
    assert is_near("tiny holes in the wax", ["small hole in the wax"])
    assert is_near("fine scratches on the grain", ["fine parallel scratches on the grain"])
    assert not is_near("crack in the cap", ["crack in the seam"])


def test_stems() -> None:
    assert {stem(word) for word in ("crack", "cracks", "cracked", "cracking")} == {"crack"}
    assert stem("edges") == stem("edge")
    assert stem("red") == "red"


def test_content_words() -> None:
    assert words("A deep, 3-mm Crack across the Cap") == ["deep", "3", "mm", "crack", "cap"]
    assert words("the of") == []


def test_no_word_stands_in_two_lists() -> None:
    lists = [FILLER, GENERIC, MAYBE_UNSEEN, PLACES, POSITIONS, *SENSES.values()]
    assert sum(map(len, lists)) == len(frozenset().union(*lists))
