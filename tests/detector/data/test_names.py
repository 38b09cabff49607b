"""A folder and a description of different names: `--map FOLDER=DESCRIPTION`, and what is said without it."""

import json

import pytest
from typer.testing import CliRunner

from descriptions.common.errors import DescriptionError, UnknownCategoryError
from descriptions.common.refs import Ref
from descriptions.store import Store
from detector.cli.app import app
from detector.data import DataError, open_data
from detector.data.errors import TrainingDataError
from detector.data.material import gather
from detector.data.names import load_described, parse_names, read_names, reference
from detector.evaluate.comparison import Plan
from detector.evaluate.scorer import Scorer
from detector.runs.evaluate import evaluate
from detector.runs.record import read_run
from detector.runs.threshold import other_origin, read_threshold
from detector.scoring.predictor import Predictor
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.evaluation import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data"), ("Gears", "plate"), good=2, bad=1)


@pytest.mark.parametrize("typed", ["Gears=gear", " Gears = gear ", "gears=gear"])
def test_a_folder_is_mapped_to_a_description(store, typed):
    names = read_names([typed], ("Gears", "plate"), store)
    assert names == {"Gears": "gear"}
    assert reference("Gears", names) == Ref("gear")
    assert reference("Gears", names, "@1") == Ref("gear", 1)
    assert reference("Metal nut", names) == Ref("metal_nut")


def test_a_folder_with_an_equals_sign():
    assert parse_names(["a=b=c"]) == {"a=b": "c"}


@pytest.mark.parametrize(
    ("typed", "error", "said"),
    [
        (["gear"], DataError, r"--map 'gear'; expected FOLDER=DESCRIPTION; such as --map welding=weld"),
        (["=gear"], DataError, "expected FOLDER=DESCRIPTION"),
        (["Gears="], DataError, "expected FOLDER=DESCRIPTION"),
        (["Gear=gear"], DataError, r"no category 'Gear'; expected Gears, plate; did you mean Gears\?"),
        (["Gears=gaer"], UnknownCategoryError, r"no category 'gaer'.*did you mean gear\?"),
        (["Gears=gear@9"], DescriptionError, "gear has no version 9; expected one of: 1, 2"),
        (["Gears=gear", "Gears=plate"], DataError, "Gears is gear and plate; expected one description per folder"),
    ],
)
def test_what_cannot_be_mapped_is_said_in_one_line(store, typed, error, said):
    with pytest.raises(error, match=said):
        read_names(typed, ("Gears", "plate"), store)


def test_a_folder_without_a_description_of_its_name_is_told_about_the_option(store, tmp_path):
    with pytest.raises(UnknownCategoryError, match=r"did you mean gear\? then type --map Gears=gear$"):
        load_described(store, "Gears", {})
    with pytest.raises(UnknownCategoryError, match=r"then type --map 'Old gear=gear'$"):
        load_described(store, "Old gear", {})
    with pytest.raises(UnknownCategoryError, match=r"generate --category bolt, or name another one: --map bolt=DESC"):
        load_described(Store(tmp_path), "bolt", {})


def test_an_evaluation_reads_the_mapped_description(store, root, tmp_path):
    scorer, out = Scorer(Predictor(tiny_filo(), device="cpu"), False), tmp_path / "out"
    data = open_data(root, ["Gears"])
    asked = {"names": ["gears=gear"], "scoring": {}}
    evaluation = evaluate(Plan(data, store, ("@1", "gear@2"), out, draws=4, names={"Gears": "gear"}), scorer, asked)
    (result,) = evaluation.categories
    assert result.category == "Gears"
    assert [variant.name for variant in result.variants][:2] == ["gear@1", "gear@2"]
    record = read_run(out)
    assert record["thresholds_from"]["gear"] == record["thresholds_from"]["gears"]
    thresholds = {"thresholds": record["thresholds"]}  # without what says that a model of noise means nothing
    (tmp_path / "run.json").write_text(json.dumps(thresholds))
    assert read_threshold(f"from-eval:{tmp_path}", "gear@1").value == record["thresholds"]["gears"]


def test_all_categories_keep_one_name_for_a_version(store, root, tmp_path):
    scorer = Scorer(Predictor(tiny_filo(), device="cpu"), False)
    plan = Plan(open_data(root), store, (), tmp_path, draws=4, names={"Gears": "gear@1"})
    evaluation = evaluate(plan, scorer)
    assert [one.variants[0].name for one in evaluation.categories] == ["@default", "@default"]
    assert evaluation.categories[0].variants[0].ref == "gear@1"
    assert evaluation.categories[1].variants[0].ref == "plate@2"


def test_a_threshold_of_a_mapped_folder_is_compared_with_its_description(store, tmp_path):
    request = {"checkpoint": None, "preset": None, "precision": "fp32", "device": "cpu", "tile": None, "max_size": 9}
    ours = {**request, "settings": {}}
    theirs = {**request, "scoring": {}, "names": ["gears=gear"], "hashes": {"Gears": {"gear@1": "other"}}}
    (tmp_path / "run.json").write_text(json.dumps({"settings": theirs}))
    said = other_origin(f"from-eval:{tmp_path}", store.load("gear@1"), ours)
    assert "descriptions gear@1 of content other" in said


def test_training_reads_the_mapped_description(store, root):
    material = gather(root, "test", store=store, names=["Gears=gear@1"])
    assert sorted(material.hashes) == ["gear@1", "plate@2"]
    gathered = gather(root, "test", store=store, names=["Gears=gear"], refs=["gear@1", "plate@1"])
    assert sorted(gathered.hashes) == ["gear@1", "plate@1"]
    with pytest.raises(TrainingDataError, match="descriptions gears@1 belong to no training category"):
        gather(root, "test", store=store, names=["Gears=gear"], refs=["gears@1"])
    with pytest.raises(UnknownCategoryError, match="--map Gears=gear"):
        gather(root, "test", store=store)


def test_the_command(store, root, tmp_path):
    options = ["--data", str(root), "--category", "Gears", "--descriptions-dir", str(store.root), "--no-cache"]
    options += ["--draws", "2", "--no-contributions", "--format", "json", "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, ["eval", *options, "--map", "Gears=gera"])
    assert isinstance(refused.exception, UnknownCategoryError), refused.exception
    done = CliRunner().invoke(app, ["eval", *options, "--map", "Gears=gear"])
    assert done.exit_code == 0, done.exception
    assert list(json.loads(done.stdout)["categories"]) == ["Gears"]
    assert read_run(tmp_path / "out")["settings"]["names"] == ["Gears=gear"]
    boxes = ["data", "boxes", str(root), "--descriptions-dir", str(store.root), "--to", str(tmp_path / "boxes.json")]
    assert CliRunner().invoke(app, [*boxes, "--map", "Gears=gear"]).exit_code == 0
