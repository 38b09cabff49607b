"""Every rule of the filter with a phrase it rejects and one it lets through."""

import pytest

from prompt_forge.generation.catalog import Product
from prompt_forge.generation.filter import Filter, trim
from prompt_forge.generation.parse import Candidate

CAPSULE = Product(category="capsule", object_name="capsule", parts=("cap", "body", "back label"))
NUT = Product(category="metal_nut", object_name="metal nut", parts=("thread",))


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("deep crack in the cap of the capsule", "deep crack in the cap"),
        ("brown stain on the capsule", "brown stain"),
        ("a capsule with a crack", "crack"),
        ("deep crack in the cap of the capsule that is", "deep crack in the cap"),
        ("capsules with brown spots", "brown spots"),
        ("the missing cap", "missing cap"),
    ],
)
def test_the_product_is_trimmed(raw: str, wanted: str) -> None:
    assert trim(raw, CAPSULE) == wanted


def test_the_last_word_of_the_name_is_trimmed_too() -> None:
    assert trim("worn thread of the metal nut", NUT) == trim("worn thread of the nut", NUT) == "worn thread"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("crack, dent", "not plain"),
        ("crack" * 6, "not plain"),
        ("capsule", "names the product"),
        ("crack in the top", "names-position: names the position 'top'"),
        ("crack on the front", "names-position: front"),
        ("bitter taste", "not-visible"),
        ("damage", "generic"),
        ("defect of the surface", "too general"),
        ("the of", "empty"),
        ("one two three four five six seven eight nine ten eleven", "too long"),
    ],
)
def test_what_no_model_may_say(text: str, reason: str) -> None:
    assert reason in Filter(CAPSULE).apply(Candidate(text))[1]


@pytest.mark.parametrize("text", ["crack", "crack in the back label", "missing cap", "burnt", "light scratches"])
def test_what_any_model_may_say(text: str) -> None:
    assert Filter(CAPSULE).apply(Candidate(text))[1] == ""


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (Candidate("crack in the cap", mean_logprob=-1.2), "unsure"),
        (Candidate("cracked crack in the cap"), "repeats"),
        (Candidate("crack"), "too little"),
        (Candidate("dirt object", family="dirt object"), "too little"),
        (Candidate("cracking the cap"), "grammar"),
        (Candidate("brown rust stains the cap"), "grammar"),
        (Candidate("hole or dent in the cap"), "grammar"),
        (Candidate("dent in the mug"), "copied from an example: mug"),
        (Candidate("talking about things"), "no visible defect"),
        (Candidate("chipped tooth"), "names no part"),
    ],
)
def test_what_a_small_model_may_not_say(candidate: Candidate, reason: str) -> None:
    assert reason in Filter(CAPSULE, strict=True, foreign=frozenset({"mug"})).apply(candidate)[1]


def test_a_small_model_that_misspells_the_product() -> None:
    kept, problem = Filter(CAPSULE, strict=True).apply(Candidate("brown burn mark on the body of the capsil"))
    assert (kept.text, problem) == ("brown burn mark on the body", "")
    kept, _ = Filter(CAPSULE, strict=True).apply(Candidate("missing piece of the cap"))
    assert kept.text == "missing piece of the cap"
