"""Answers are data: cleaned, bounded, and told why when they do not fit."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptions.format.schema import MAX_TEXT
from prompt_forge.generation.parse import answer_schema, clean, from_json, from_lines, one_phrase, read_json, read_lines


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


TWO = json.dumps([entry(), entry(text="a dent", family=None, part=None)])


@pytest.mark.parametrize(
    "answer",
    [
        TWO,
        TWO[1:-1].replace("}, {", "}\n{"),
        f'{{"anomalies": {TWO.replace("}]", "},]")},}}',
        f'{{"anomalies": {TWO.replace("deep crack", "deep" + chr(10) + "crack")}}}',
        f'// two of them\n{{"anomalies": [ /* first */ {TWO[1:]}}}',
        str({"anomalies": json.loads(TWO)}),
        f'```json\n{{"anomalies": []}}\n```\nNow for real:\n```json\n{{"anomalies": {TWO}}}\n```',
        f'The schema is {{anomalies}}: see [1]. {{"anomalies": {TWO}}} {{done}}',
        "\ufeff" + TWO,
        '["deep crack in the cap", "a dent"]',
    ],
)
def test_json_as_models_write_it(answer: str) -> None:
    assert [one.text for one in from_json(answer)] == ["deep crack in the cap", "a dent"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry(text="x " * 150), "has 299 characters; expected at most 200"),
        (entry(text="half \ud83d crack"), "half a character"),
        (entry(text="ring\x07 dent"), "control character U+0007"),
        (entry(text=5), "is a number; expected words"),
        (entry(text=None), "is null; expected words"),
        (entry(text=" "), "has 0 letters; expected at least 3"),
        ({"family": "crack"}, "is missing"),
        (["crack"], "is a list; expected words"),
        (7, "is a number; expected words"),
    ],
)
def test_one_bad_entry_is_left_out_and_the_others_stay(bad: object, reason: str) -> None:
    read = read_json(json.dumps({"anomalies": [entry(), bad, entry(text="a dent")]}))
    assert [one.text for one in read.candidates] == ["deep crack in the cap", "a dent"]
    assert [reason in why for _, why in read.dropped] == [True]
    assert read.dropped[0][0]


def test_a_family_that_makes_no_sense_costs_only_itself() -> None:
    read = read_json(json.dumps({"anomalies": [entry(family=["a"], part="x" * 201)]}))
    assert (read.candidates[0][:3], read.dropped) == (("deep crack in the cap", None, None), [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"anomalies": [{"text": "a crack"}, {"text": "a de', "Unterminated string"),
        ('{"anomalies": [{"text": "a 3" dent"}, {"text": "a dent"}]}', "Expecting ',' delimiter"),
        ('{"defects": ["a crack"]}', "the list anomalies, not one with defects"),
        ('{"anomalies": "none"}', "anomalies is words; expected a list"),
        ("I'm sorry, I can't help.", "begins with \"I'm sorry"),
        (
            '{"anomalies": [{"text": 1}, {"text": "x"}]}',
            r"anomalies.0.text is a number.*anomalies.1.text has 1 letters",
        ),
    ],
)
def test_the_true_reason_is_given_without_names_of_classes(answer: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        from_json(answer)
    assert "pydantic" not in f"{caught.value!r}".lower()


def test_lines_that_are_no_entries_are_named() -> None:
    read = read_lines("- a crack\n- !!!\n- " + "x" * 300 + "\n")
    assert [one.text for one in read.candidates] == ["a crack"]
    assert [why for _, why in read.dropped] == [
        "has 0 letters; expected at least 1",
        "has 300 characters; expected at most 200",
    ]


def test_an_excuse_is_no_list() -> None:
    with pytest.raises(ValueError, match="no list"):
        from_lines("I'm sorry, I can't assist with that, really")


PIECES = [
    "{",
    "}",
    "[",
    "]",
    '"',
    ",",
    ":",
    "anomalies",
    "text",
    "<think>",
    "</think>",
    "\n",
    "- ",
    "```",
    "a crack",
    "//",
]


@given(
    st.lists(
        st.sampled_from([*PIECES, "null", "1", "\\", "\\ud800", "'", "assistantfinal", "<|message|>"]), max_size=40
    )
)
def test_no_text_raises_anything_but_a_reason(pieces: list[str]) -> None:
    for read in (read_json, read_lines, one_phrase):
        with suppress(ValueError):
            read("".join(pieces))
