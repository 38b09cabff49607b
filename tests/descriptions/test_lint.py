"""Every rule once broken and once kept, and the fixes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptions.common.tokens import clip_ids
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.lint import MANY, RULES, Context, Finding, fix, lint

GOOD = ("deep crack in the shell", "blue ink smear", "missing print")


def nut(*texts: str, **changes: object) -> DescriptionFile:
    entries = tuple(Anomaly(id=f"a{index}", text=text) for index, text in enumerate(texts))
    file = DescriptionFile(category="metal_nut", object_name="metal nut", anomalies=entries)
    return file.revised(**changes)


def broken(description: DescriptionFile, context: Context | None = None) -> set[str]:
    return {finding.rule for finding in lint(description, context)}


EXAMPLES = [
    ("not-visible", "burnt odour", "brown burn mark"),
    ("not-visible", "rattling thread", "loose thread"),
    ("not-visible", "bitter taste", "white powder residue"),
    ("not-visible", "temperature rise", "charred edge"),
    ("not-visible", "feels rough", "rough patch"),
    ("maybe-not-visible", "soft shell", "sagging shell"),
    ("generic", "some other damage", "other thread torn off"),
    ("generic", "defective metal nut", "flattened thread"),
    ("clip-length", "ox " * 60 + "mark", "long thin scratch"),
    ("separator", "crack, wide", "wide crack"),
    ("separator", "crack . wide", "wide crack of 0.5 mm"),
    ("duplicate", "Missing  print", "missing label"),
    ("near-duplicate", "missing prints", "smeared print"),
    ("names-category", "cracked metal nut", "cracked hexagon"),
    ("names-position", "scratch at the top", "scratch beside the thread"),
    ("case", "Bright scratch", "bright scratch"),
    ("spaces", " bright scratch", "bright scratch"),
    ("ascii", "façade scratched", "face scratched"),
]


@pytest.mark.parametrize(("rule", "bad", "good"), EXAMPLES)
def test_each_rule_fails_and_passes(rule: str, bad: str, good: str) -> None:
    assert rule in broken(nut(*GOOD, bad))
    assert broken(nut(*GOOD, good)) == set()


def test_rules_about_the_whole_file() -> None:
    assert broken(nut()) == {"empty"}
    assert broken(nut(GOOD[0])) == {"count"}
    assert "count" in broken(nut(*(f"mark number {index}" for index in range(MANY + 1))))
    many = nut(*(f"{index} thin scratches across the polished face" for index in range(40)))
    assert "caption-length" in broken(many)
    assert "caption-length" not in broken(many, Context(bert=lambda _: 200))


def test_texts_that_are_the_names_of_defect_folders_leak() -> None:
    leaks = Context(leaks=["missing_print", "good"])
    assert lint(nut(*GOOD), leaks)[0] == Finding(
        "label-leak",
        "warning",
        "a2",
        "equals the defect folder 'missing_print' of the data set; the score would be flattered",
    )
    assert broken(nut(*GOOD), Context(leaks=["scratch"])) == set()


def test_words_that_the_model_cannot_read_are_named() -> None:
    taught = frozenset(token for word in ("deep", "crack", "in", "the", "blue", "ink") for token in clip_ids(word))
    context = Context(model="mini", readable=taught)
    problems = [(one.entry, one.message) for one in lint(nut(*GOOD), context) if one.rule == "unread-words"]
    assert problems == [
        ("", "mini cannot read 'metal', 'nut' in the object name"),
        ("a0", "mini cannot read 'shell': blanks to it"),
        ("a1", "mini cannot read 'smear': blanks to it"),
        ("a2", "mini cannot read 'missing', 'print': blanks to it"),
    ]
    quiet = nut(*GOOD).revised(anomalies=[e.model_copy(update={"enabled": False}) for e in nut(*GOOD).anomalies])
    assert [one.entry for one in lint(quiet, context) if one.rule == "unread-words"] == [""]
    assert "unread-words" not in broken(nut(*GOOD))


def test_every_rule_has_an_example() -> None:
    elsewhere = {"empty", "count", "caption-length", "label-leak", "cut-by-comment", "unread-words"}
    assert {rule for rule, _, _ in EXAMPLES} | elsewhere == {rule.name for rule in RULES}


def test_positions_in_the_names_of_parts_are_fine() -> None:
    assert broken(nut(*GOOD, "dent in the top plate", parts=("top plate",))) == set()


def test_counters_can_be_replaced_and_disabled_entries_are_left_alone() -> None:
    assert "clip-length" in broken(nut(*GOOD), Context(clip=lambda _: 64))
    assert "clip-length" not in broken(nut(*GOOD), Context(clip=lambda _: 63))
    quiet = (*nut(*GOOD).anomalies, Anomaly(id="smell", text="odour", enabled=False))
    assert broken(nut().revised(anomalies=quiet)) == set()


def test_errors_come_first() -> None:
    levels = [finding.level for finding in lint(nut("Scratch", "odour", *GOOD))]
    assert levels == sorted(levels)


def test_fix_repairs_what_is_safe_and_is_idempotent() -> None:
    messy = nut("Deep  crack, wide", "deep crack wide", "it\u2019s a “façade” \u2013 worn . ", "burnt odour")
    repaired = fix(messy)
    assert [entry.text for entry in repaired.anomalies] == [
        "deep crack wide",
        "deep crack wide",
        'it\'s a "facade" - worn',
        "burnt odour",
    ]
    assert [entry.enabled for entry in repaired.anomalies] == [True, False, True, True]
    assert fix(repaired) is repaired
    assert broken(repaired) == {"not-visible"}
    fixable = {rule.name for rule in RULES if rule.fixable}
    assert not fixable & broken(repaired)


def test_fix_keeps_locked_entries_and_prefers_them() -> None:
    entries = (
        Anomaly(id="free", text="deep crack"),
        Anomaly(id="kept", text="deep crack", locked=True),
        Anomaly(id="loud", text="LOUD Mark", locked=True),
        Anomaly(id="off", text="OFF", enabled=False),
    )
    repaired = fix(nut().revised(anomalies=entries))
    assert [entry.enabled for entry in repaired.anomalies] == [False, True, True, False]
    assert [entry.text for entry in repaired.anomalies][2:] == ["LOUD Mark", "OFF"]


@pytest.mark.parametrize(
    "text", ["dent ..", "dent , . round", ".5 mm hole", ", . ,", "\ufdfa" * 150, "crack, and dent"]
)
def test_fix_of_odd_texts_is_a_valid_file_and_stable(text: str) -> None:
    repaired = fix(nut(text))
    assert fix(repaired) == repaired
    assert DescriptionFile.model_validate(repaired.model_dump()) == repaired


visible = st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])
texts = st.text(visible, min_size=1, max_size=40).filter(str.strip) | st.text("ab, .D", min_size=1).filter(str.strip)


@settings(deadline=None, max_examples=200)
@given(st.lists(texts.map(lambda text: text[:200]).filter(str.strip), max_size=5))
def test_fix_is_stable_for_any_text(some: list[str]) -> None:
    repaired = fix(nut(*some))
    assert fix(repaired) == repaired
    assert DescriptionFile.model_validate(repaired.model_dump()) == repaired
    lint(repaired)
