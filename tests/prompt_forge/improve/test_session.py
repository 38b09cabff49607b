"""What a run leaves: a version with its figures, the looks at the photos, and one line where there is nothing to save.

The detector of the last tests is the real one, started as a program of its own, with random weights.
"""

import json

import pytest
from typer.testing import CliRunner

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from prompt_forge.cli.app import app
from prompt_forge.generation.parse import Candidate
from prompt_forge.improve.loop import Search
from prompt_forge.improve.measuring import MeasureError, Photo, start_detector
from prompt_forge.improve.proposals import Seen, apply, from_model
from prompt_forge.improve.session import LOOKS, conclude, count_looks, note_look
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.improving import PHRASES, version, world


def test_a_gain_becomes_a_version_that_says_what_was_measured(tmp_path):
    store = Store(tmp_path)
    start = store.save(version(*PHRASES[:4], "glare"))
    search = Search(start, world(0, photos=120, signal=0.6, glare=3.0))
    search.run(1)
    report = conclude(search, store, tmp_path)
    saved = store.load("gear@latest")
    assert report.saved == saved
    assert saved.parent == 1
    figures = saved.improvement
    assert figures.interval[0] > 0
    assert figures.image_auroc > figures.parent_image_auroc
    assert (figures.steer, figures.confirm, figures.look, figures.level) == (60, 60, 1, 0.025)
    assert figures.changes[0].source == "measured"
    assert "glare" in [one.target for one in figures.changes]
    assert store.load("gear@1").improvement is None

    further = Search(saved, world(0, photos=120, signal=0.6, glare=3.0))
    further.kept, further.current = search.kept, start  # back again: a second comparison on the same photos
    again = conclude(further, store, tmp_path)
    assert (again.look, again.saved) == (2, None)
    assert again.verdict.level == pytest.approx(0.05 / 6)


def test_the_same_comparison_is_no_further_look_and_other_photos_are_fresh(tmp_path):
    path = tmp_path / "gear" / LOOKS
    photos, others = ([Photo(f"{at}", f"{at:064}", "", False) for at in span] for span in (range(4), range(4, 8)))
    photos, others = ([one._replace(sha256=one.sha256[::-1]) for one in each] for each in (photos, others))
    note_look(path, photos, ("a", "b"))
    with path.open("a") as stream:
        stream.write('{"cut off')
    assert count_looks(path, photos, ("a", "b")) == 1
    assert count_looks(path, photos[:1], ("a", "c")) == 2
    assert count_looks(path, others, ("a", "c")) == 1


def test_phrases_of_a_model_take_the_place_of_useless_ones_of_their_kind():
    start = DescriptionFile(
        category="gear", object_name="gear",
        anomalies=(Anomaly(id="crack-1", text="thin crack in the tooth", family="crack"),
                   Anomaly(id="dent-1", text="dented hub", family="dent")),
    )  # fmt: skip
    seen = [Seen("crack-1", -0.01, 0.2, 0.1), Seen("dent-1", 0.1, 0.0, 0.3)]
    heard = [
        Candidate("dark jagged split", "crack"),
        Candidate("flattened rim", "dent"),
        Candidate("dented hub", "dent"),
    ]
    replaced, added = from_model(start, heard, seen, "model")
    assert (replaced.action, replaced.target, added.action) == ("replace", "crack-1", "add")
    changed = apply(start, replaced)
    assert changed.enabled_texts == ("dented hub", "dark jagged split")
    assert changed.anomalies[0].note == (
        "improve: crack-1 raises good photos by +0.2000 and defective ones by +0.1000; image AUROC -0.010 by it"
    )
    assert changed.anomalies[2].id == "crack-2"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    from detector.weights.checkpoint import save_checkpoint

    root = tmp_path_factory.mktemp("improve")
    make_dataset(root / "data", good=8, bad=4)
    save_checkpoint(tiny_filo(), root / "tiny.safetensors", whole=True)
    entries = (Anomaly(id="a0", text="broken tooth"), Anomaly(id="a1", text="dark hole"))
    Store(root / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=entries))
    return root


def typed(place, *more):
    words = ["improve", "gear", "--descriptions-dir", place / "library", "--checkpoint", place / "tiny.safetensors"]
    return CliRunner().invoke(app, [str(word) for word in (*words, *more)])


def test_the_real_detector_measures_and_no_gain_is_a_normal_end(place, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    shown = typed(place, "--data", place / "data", "--dry-run", "--model", "none")
    assert shown.exit_code == 0, shown.output
    assert "dark hole" in shown.stdout
    done = typed(place, "--data", place / "data", "--model", "none", "--json", "--rounds", "2")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    versions = Store(place / "library").versions("gear")
    gained = document["confirm"] is not None and document["confirm"]["gain"]
    assert versions == ([1, 2] if gained else [1])


def test_the_detector_says_itself_what_it_cannot_use(place, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    with (
        pytest.raises(MeasureError, match="detector measure: no data set at"),
        start_detector(place / "missing", None, "gear"),
    ):
        pass
    refused = typed(place)
    assert "nothing to measure on; type --data DIR" in str(refused.exception)
