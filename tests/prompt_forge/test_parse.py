"""Answers are data: cleaned, bounded, and told why when they do not fit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptions.schema import MAX_TEXT
from prompt_forge.parse import answer_schema, clean, from_json, from_lines, one_phrase


def entry(**changes: object) -> dict[str, object]:
    return {"text": "deep crack in the cap", "family": "crack", "part": "cap"} | changes


@given(st.text())
def test_cleaned_text_is_short_printable_and_stable(text: str) -> None:
    once = clean(text)
    assert len(once) <= MAX_TEXT
    assert once.isprintable()
    assert "\x1b" not in once
    assert clean(once) == once


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ('  "Deep   CRACK in the cap."', "deep crack in the cap"),
        ("\x1b[31mred\x1b[0m spot\x07", "red spot"),
        ("\x1b]0;title\x07scratch", "scratch"),
        ("**hair\u2011line\u00a0crack**", "hair-line crack"),
        ("\u202edirt", "dirt"),
    ],
)
def test_clean(raw: str, wanted: str) -> None:
    assert clean(raw) == wanted


def test_one_phrase_is_the_first_line() -> None:
    assert one_phrase("\n Crack in the cap.\nProduct: x") == "crack in the cap"


@pytest.mark.parametrize(
    "answer",
    ["Here they are:\n1. a crack\n2) a dent\n", "- a crack\n\n* a dent", "a crack\na dent", "a crack, a dent"],
)
def test_lists_in_every_shape(answer: str) -> None:
    assert [candidate.text for candidate in from_lines(answer)] == ["a crack", "a dent"]


@pytest.mark.parametrize("frame", ["{}", "```json\n{}\n```", "Sure! {} Anything else?"])
def test_json_bare_fenced_or_surrounded(frame: str) -> None:
    answer = frame.replace("{}", json.dumps({"anomalies": [entry(), entry(text="a dent", family=None, part=None)]}))
    assert [candidate[:3] for candidate in from_json(answer)] == [
        ("deep crack in the cap", "crack", "cap"),
        ("a dent", None, None),
    ]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("no", "not JSON"),
        ("[" * 5000, "not JSON"),
        ("{}", "anomalies: Field required"),
        ('{"anomalies": []}', "at least 1"),
        ('{"anomalies": [{"text": ""}]}', "anomalies.0.text"),
        (json.dumps({"anomalies": [entry(text="x" * 999)]}), "at most 200"),
    ],
)
def test_rejected_answers_say_where(answer: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        from_json(answer)


def test_the_schema_has_no_references_and_bounds_the_list() -> None:
    schema = answer_schema(7)
    assert "$ref" not in json.dumps(schema)
    assert schema["properties"]["anomalies"]["maxItems"] == 7
    assert schema["properties"]["anomalies"]["items"]["required"] == ["text", "family", "part"]
