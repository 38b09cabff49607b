"""Ensembles."""

from prompt_forge.generation.merge import merge
from prompt_forge.generation.parse import Candidate


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
