"""Files as other editors and systems save them: marks, line ends, tabs, lines left empty, comments that cut."""

import re
from pathlib import Path

import pytest

from descriptions.common.errors import InvalidFileError
from descriptions.common.files import decode
from descriptions.common.settings import LibrarySettings, load
from descriptions.format.schema import Anomaly
from descriptions.format.yaml_io import dump_description, parse_description
from descriptions.lint import lint
from descriptions.store import Store

HEAD = "category: widget\nobject_name: widget\n"
START = HEAD + "anomalies:\n"
PLAIN = START + "  - id: dent-1\n    text: dented side\n    family: dent\n  # look here\n  - id: b\n    text: cut\n"


def parsed(text: str):
    return parse_description(text.encode(), "v1.yaml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_are_no_part_of_a_file(encoding: str, end: str) -> None:
    data = PLAIN.replace("\n", end).encode(encoding)
    description = parse_description(data, "v1.yaml")
    assert description.enabled_texts == ("dented side", "cut")
    written = dump_description(description)
    assert "\r" not in written
    assert "\n  # look here\n" in written


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029"])
def test_only_carriage_returns_and_line_feeds_end_lines(mark: str) -> None:
    assert decode(f"\ufeffa{mark}b\r\nc\rd".encode()) == f"a{mark}b\nc\nd"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_may_start_with_a_mark(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("filo-forge.toml").write_bytes('[library]\r\ndescriptions_dir = "mine"\r\n'.encode(encoding))
    assert load(LibrarySettings, "library").descriptions_dir == Path("mine")


def test_labels_may_start_with_a_mark(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(parsed(PLAIN))
    (tmp_path / "widget" / "labels.yaml").write_bytes("\ufeffproduction: 1\r\n".encode())
    assert store.labels("widget") == {"latest": 1, "production": 1}


ENTRY = "  - id: dent-1\n    text: dented side\n"
TABS = {
    "behind a value": ENTRY.replace("side\n", "side\t\n"),
    "several behind a value": ENTRY.replace("side\n", "side \t \t\n"),
    "before a comment": ENTRY.replace("side\n", "side\t# seen\n"),
    "behind a quoted value": ENTRY.replace("dented side", "'dented side'\t"),
    "behind a key": ENTRY.replace("text: ", "text:\t"),
    "behind a dash": ENTRY.replace("  - ", "  -\t"),
    "on a blank line": "\t\n" + ENTRY + "  \t \n",
    "before a comment of its own line": "\t# seen\n" + ENTRY,
    "in a flow": "  - {\tid: dent-1\t,\ttext: dented side\t}\t\n",
}


@pytest.mark.parametrize("case", TABS)
def test_tabs_that_do_not_indent_are_read(case: str) -> None:
    (entry,) = parsed(START + TABS[case]).anomalies
    assert (entry.id, entry.text) == ("dent-1", "dented side")


def test_tabs_behind_keys_lists_and_document_starts_are_read() -> None:
    description = parsed("---\t\n" + HEAD + "parts:\t\n  - cap\t\n  - rim\nanomalies: []\t\n")
    assert description.parts == ("cap", "rim")


def test_tabs_inside_quotes_and_blocks_stay() -> None:
    note = '    note: "a\tb: \tc\t#d"\n'
    block = "  - id: b\n    text: cut\n    note: |\n      one:\ttwo\t\n"
    first, second = parsed(START + ENTRY.replace("side\n", "side\t\n") + note + block).anomalies
    assert (first.text, first.note, second.note) == ("dented side", "a\tb: \tc\t#d", "one:\ttwo\t\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (START + "\t- id: a\n", "line 4: a tab where YAML wants spaces; indent with spaces"),
        (START + "  - id: a\n\t  text: b\n", "line 5: a tab where YAML wants spaces; indent with spaces"),
        (START + "  - id: a\n    text: dented\tside\n", "line 5: anomalies[0].text: the text holds the control char"),
    ],
)
def test_tabs_that_indent_or_stand_inside_a_phrase_are_named(text: str, line: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parsed(text)
    assert line in str(caught.value)


@pytest.mark.parametrize(("mark", "name"), [("\x85", "U+0085"), ("\u2028", "U+2028"), ("\u2029", "U+2029")])
def test_line_breaks_that_no_editor_shows_are_named(mark: str, name: str) -> None:
    with pytest.raises(InvalidFileError, match=f"line 5: the character {name.replace('+', '.')} breaks the line here"):
        parsed(START + f"  - id: a\n  # one{mark}two\n    text: cut\n")
    noted = parsed(START + f'  - id: a\n    text: cut\n    note: "one{mark}two"\n')
    assert noted.anomalies[0].text == "cut"


def test_the_second_use_of_an_id_is_named_with_its_line() -> None:
    with pytest.raises(InvalidFileError, match=r"line 9: anomalies\[1\]\.id: the id 'dent-1' stands on more than one"):
        parsed(PLAIN.replace("id: b", "family: cut\n    id: dent-1"))
    with pytest.raises(InvalidFileError, match=r'line 6: duplicate key "text" stands twice'):
        parsed(START + "  - id: a\n    text: b\n    text: c\n")


EMPTY = {
    "a text": (
        START + "  - id: a\n    text:\n",
        "line 5: anomalies[0].text: is left empty; write a value, or remove th",
    ),
    "a text of no letters": (START + "  - id: a\n    text: ''\n", "line 5: anomalies[0].text: is left empty"),
    "a text as null": (START + "  - id: a\n    text: ~\n", "line 5: anomalies[0].text: is left empty"),
    "a text in a comment": (
        START + "  - id: a\n    text: #2 dent\n",
        "line 5: anomalies[0].text: is left empty: YAML reads '#2 dent' as a comment; put the text in quotes",
    ),
    "an id": (START + "  - id:\n    text: cut\n", "line 4: anomalies[0].id: is left empty; write a value"),
    "an entry": (START + "  - \n", "line 4: anomalies[0]: is left empty"),
    "a note": (
        START + "  - id: a\n    text: b\n    note:\n",
        "anomalies[0].note: is left empty; write a value, or rem",
    ),
    "all entries": (START, "line 3: anomalies: is left empty; write a value, or remove the line"),
    "an object name": ("category: w\nobject_name:\n", "line 2: object_name: is left empty; write a value"),
    "states": (HEAD + "normal:\n", "line 3: normal: is left empty"),
    "a state": (HEAD + "normal:\n  -\n  - good {}\n", "line 4: normal[0]: is left empty"),
}


@pytest.mark.parametrize("case", EMPTY)
def test_what_was_left_empty_is_named(case: str) -> None:
    text, line = EMPTY[case]
    with pytest.raises(InvalidFileError) as caught:
        parsed(text)
    assert line in str(caught.value)
    assert "None" not in str(caught.value)


def cuts(text: str) -> list[tuple[str, str]]:
    return [(one.entry, one.message) for one in lint(parsed(text)) if one.rule == "cut-by-comment"]


@pytest.mark.parametrize("comment", ["#2", "#2 in the rim", "#(a)", "#\N{DEGREE SIGN}"])
def test_lint_notices_a_phrase_that_a_comment_cuts(comment: str) -> None:
    text = PLAIN.replace("dented side", f"dent {comment}")
    expected = f"YAML reads {comment!r} behind 'dent' as a comment; put both in quotes"
    assert cuts(text) == [("dent-1", expected)]
    assert cuts(text.replace("text: cut\n", "text: cut # as agreed\n")) == [("dent-1", expected)]
    saved = dump_description(parsed(text))
    assert cuts(saved) == [("dent-1", expected)], "the comment is kept, and noticed again"


def test_lint_notices_other_texts_that_a_comment_cuts() -> None:
    text = (
        "category: w\nobject_name: nut #3\nparts:\n  - cap #1\nanomalies:\n  - id: a\n    family: f #9\n    text: cut\n"
    )
    assert [message.split(" behind")[0] for _, message in cuts(text)] == [
        "object_name: YAML reads '#3'",
        "parts[0]: YAML reads '#1'",
        "family: YAML reads '#9'",
    ]


@pytest.mark.parametrize("line", ["dent # seen twice", "'dent' #2", '"dent #2"', "dent#2", "dent\n    #2", "dent  # 2"])
def test_comments_that_cut_nothing_are_left_alone(line: str) -> None:
    assert cuts(PLAIN.replace("dented side", line)) == []


def test_a_disabled_entry_may_be_cut() -> None:
    assert cuts(PLAIN.replace("dented side", "dent #2\n    enabled: false")) == []


def test_what_never_was_a_file_has_no_comments() -> None:
    description = parsed(PLAIN)
    fresh = type(description)(category="w", object_name="w", anomalies=(Anomaly(id="a", text="dent"),))
    assert "cut-by-comment" not in {one.rule for one in lint(fresh)}


def test_a_new_text_takes_the_cut_rest_of_the_old_one_away() -> None:
    text = PLAIN.replace("dented side", "dent #2").replace("text: cut", "text: cut  # as agreed")
    description = parsed(text)
    dent, other = description.anomalies
    changed = description.revised(
        anomalies=(dent.model_copy(update={"text": "dented rim"}), other.model_copy(update={"text": "long cut"}))
    )
    written = dump_description(changed)
    assert "#2" not in written
    assert re.search(r"text: long cut +# as agreed\n", written), "a comment that is one stays"
    assert "# look here" in written
    assert cuts(written) == []
