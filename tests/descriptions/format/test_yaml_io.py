"""What is written reads back as it was, whatever is in it."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from descriptions.common.errors import InvalidFileError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.format.yaml_io import MAX_BYTES, dump_description, parse_description
from descriptions.store import Store

WIDE = "a scratch  beside  the  seam " * 6
"""Longer than the 120 columns at which a text could be folded, with double spaces."""

pieces = st.sampled_from(
    ["a", " ", "  ", "\\", "\\ ", "\t", "\n", " \n", "long word", ":", "#", "'", '"', "{}", "é", "%"]
)
notes = st.lists(pieces, max_size=90).map("".join)


def nut(note: str, text: str = "dent") -> DescriptionFile:
    return DescriptionFile(category="nut", object_name="nut", anomalies=(Anomaly(id="a", text=text, note=note),))


@settings(deadline=None)
@given(notes, notes)
@example(WIDE, "")
@example("C:\\photos\\" + "caps " * 30 + "\n" + "two\\lines " * 20, WIDE)
@example("tab\there " * 30, "back\\slash " * 30)
def test_notes_of_any_width_read_back_as_they_were(note: str, other: str) -> None:
    first = parse_description(dump_description(nut(note, WIDE)).encode(), "x.yaml")
    assert first == nut(note, WIDE).revised(created=first.created)
    second = first.revised(anomalies=(*first.anomalies, Anomaly(id="b", text=WIDE, note=other)))
    assert parse_description(dump_description(second).encode(), "x.yaml") == second


def test_the_content_hash_on_disk_is_that_in_memory(tmp_path: Path) -> None:
    saved = Store(tmp_path).save(nut("", WIDE))
    assert Store(tmp_path).load("nut").content_hash == saved.content_hash


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (nut("a\x85b"), "nut@1: anomalies would read back as something else; leave out unusual line breaks"),
        (
            nut("").revised(anomalies=tuple(Anomaly(id=f"a{i}", text="x", note="n" * 900) for i in range(300))),
            f"bytes; expected at most {MAX_BYTES:,} bytes",
        ),
    ],
)
def test_what_would_not_read_back_is_not_saved(tmp_path: Path, description: DescriptionFile, message: str) -> None:
    with pytest.raises(InvalidFileError, match=message):
        Store(tmp_path).save(description)
    assert Store(tmp_path).versions("nut") == []


def test_a_label_that_moves_leaves_comments_and_order(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(nut("one"))
    store.save(nut("two"))
    labels = tmp_path / "nut" / "labels.yaml"
    labels.write_text("# agreed with the line lead\nreviewed: 1   # see the minutes\ndefault: 1\n")
    store.set_label("nut@2", "reviewed")
    store.set_label("nut@1", "good")
    assert labels.read_text() == ("# agreed with the line lead\nreviewed: 2   # see the minutes\ndefault: 1\ngood: 1\n")
