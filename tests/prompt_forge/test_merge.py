"""Near-duplicates and ensembles."""

from hypothesis import given
from hypothesis import strategies as st

from prompt_forge.merge import is_near, likeness, merge
from prompt_forge.parse import Candidate

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


def test_models_that_agree_are_counted_and_come_first() -> None:
    answers = [
        [Candidate("dent in the cap"), Candidate("small hole in the seam")],
        [Candidate("tiny holes in the seam"), Candidate("tiny hole in the seam")],
    ]
    assert [(one.candidate.text, one.support) for one in merge(answers)] == [
        ("small hole in the seam", 2),
        ("dent in the cap", 1),
    ]
    assert merge([]) == []
