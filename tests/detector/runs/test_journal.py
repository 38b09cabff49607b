"""The journal gives back what it was given, whatever happens to its last line."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.runs.journal import Journal
from detector.scoring.map_scale import MapSummary
from tests.support.detecting import row_of

ENTRIES = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.tuples(st.floats(0, 1), st.lists(st.floats(0, 1), max_size=3)),
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(entries=ENTRIES, cut=st.integers(0, 400), other=st.booleans())
def test_whole_lines_come_back_and_a_cut_one_costs_one_image(entries, cut, other):
    """Paths name no files here, so that all of them have the stamp of a missing file."""
    names = {f"none/{path}": value for path, value in entries.items() if "\0" not in path}
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name), {"key": 1}, names, resume=False)
        journal.start()
        kept = {}
        for path, (score, boxes) in names.items():
            row = row_of(path, score, boxes=[{"x0": 0.0}] * len(boxes))
            journal.add(row, MapSummary(0.1, score, tuple(boxes)))
            kept[path] = (row, MapSummary(0.1, score, tuple(boxes)))
        text = journal.path.read_bytes()
        last = len(text.splitlines(keepends=True)[-1]) if text else 0
        journal.path.write_bytes(text[: len(text) - min(cut, last)])
        complete = list(kept)[: len(kept) - (min(cut, last) > 1)]
        if other:
            more = {"key": "other", "file": None, "row": row_of("none/z"), "map": [0, 0, []]}
            with journal.path.open("a") as stream:
                stream.write("\n" + json.dumps(more) + "\n")
        if complete:
            again = Journal(Path(name), {"key": 1}, names, resume=True)
            assert {path: (line["row"], line["map"]) for path, line in again.lines.items()} == {
                path: kept[path] for path in complete
            }
