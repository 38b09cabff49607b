"""`detector eval` as typed: every output, comparing runs, and refusals."""

import csv
import io
import json
import os
import shutil

import pytest
from typer.testing import CliRunner

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.cli.app import app
from detector.data import open_data
from detector.data.seen import digests, pack, unpack
from detector.evaluate.errors import EvaluationError
from detector.evaluate.results import compare, read_results
from detector.evaluate.shown import between, fraction
from detector.metrics.compute import METRICS
from detector.runs.evaluate import parse_shard
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.page import read_page

runner = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data set, a library of two versions, a checkpoint, and a finished run."""
    root = tmp_path_factory.mktemp("eval")
    make_dataset(root / "data", good=3, bad=1)
    library = Store(root / "library")
    for texts in (("broken tooth", "dark hole"), ("long scratch",)):
        anomalies = tuple(Anomaly(id=f"a{index}", text=text) for index, text in enumerate(texts))
        library.save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(tiny_filo(), root / "tiny.safetensors", whole=True)
    done = invoke(root, "run", "gear@2", "--format", "json")
    assert done.exit_code == 0, done.output
    return root, json.loads(done.stdout)


def invoke(root, out, *more):
    given = {
        "--data": root / "data",
        "--descriptions": "gear@1",
        "--descriptions-dir": root / "library",
        "--checkpoint": root / "tiny.safetensors",
        "--cache-dir": root / "cache",
        "--draws": 10,
        "--out": root / out,
    }
    return runner.invoke(app, ["eval", *(str(word) for pair in given.items() for word in pair), *more])


def test_the_json_document_names_metrics_as_scripts_expect(place):
    root, document = place
    variants = document["categories"]["gear"]["variants"]
    assert list(variants) == ["gear@1", "gear@2", "generic", "winclip", "random"]
    first, second = variants["gear@1"], variants["gear@2"]
    for name in ("image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro"):
        assert 0 <= first[name] <= 1
        low, high = first[f"{name}_interval"]
        assert low <= high
        assert second[f"{name}_difference"] == pytest.approx(second[name] - first[name])
    assert "aupro_legacy" in first
    assert first["pixel_auroc_error"] < 0.01
    mean = document["mean"]["gear@2"]
    assert mean["image_ap"] == second["image_ap"]
    assert mean["image_ap_difference_interval"] == second["image_ap_difference_interval"]
    assert json.loads((root / "run" / "results.json").read_text()) == document


def test_the_run_folder_holds_what_others_read(place):
    root, _ = place
    record = json.loads((root / "run" / "run.json").read_text())
    assert record["status"] == "done"
    assert isinstance(record["thresholds"]["gear"], float)
    worth = json.loads((root / "run" / "contributions.json").read_text())
    assert (worth["category"], worth["version"], [phrase["id"] for phrase in worth["phrases"]]) == (
        "gear",
        1,
        ["a0", "a1"],
    )
    assert worth["content_hash"] == Store(root / "library").load("gear@1").content_hash
    assert (root / "run" / "contributions" / "gear-v2.json").is_file()
    rows = list(csv.DictReader(io.StringIO((root / "run" / "results.csv").read_text())))
    assert {row["category"] for row in rows} == {"gear", "mean"}
    low, value, high = (float(rows[0][f"image_ap{end}"]) for end in ("_low", "", "_high"))
    assert low <= value <= high


def cells_of(table):
    """Names of the rows, and what else stands in each."""
    return {row.find("td")[0].text: [cell.text for cell in row.find("td")[1:]] for row in table.find("tr")[1:]}


def test_the_page_shows_the_numbers_of_the_document(place):
    root, document = place
    page = read_page(root / "run" / "report.html")
    variants = document["categories"]["gear"]["variants"]
    (values,), (differences,) = page.find("table", klass="values"), page.find("table", klass="differences")
    names = [name + (" (control)" if each["control"] else "") for name, each in variants.items()]
    assert list(cells_of(values)) == names
    assert list(cells_of(differences)) == names[1:]
    for name, each in variants.items():
        shown = cells_of(values)[name + (" (control)" if each["control"] else "")]
        for metric, text in zip(METRICS, shown, strict=True):
            assert text.startswith(fraction(each[metric])), metric
            assert text.endswith(between(each[f"{metric}_interval"])), metric
    first = differences.find("tr")[1].find("td")[1]
    assert float(first.attributes["data-value"]) == variants["gear@2"]["image_auroc_difference"]


def test_the_page_shows_curves_contributions_and_misses(place):
    root, document = place
    page = read_page(root / "run" / "report.html")
    facts = dict(zip((e.text for e in page.find("dt")), (e.text for e in page.find("dd")), strict=True))
    assert facts["Bootstrap"].startswith("10 draws over images")
    assert facts["Model"].endswith("tiny.safetensors")
    captions = [figure.find("figcaption")[0].text for figure in page.find("div", klass="plots")[0].find("figure")]
    assert captions == [
        "image ROC",
        "image precision-recall",
        "pixel precision-recall",
        "PRO (pixel overlap by region)",
    ]
    worth = cells_of(page.find("table", klass="contributions")[0])
    assert {text: cells[0] for text, cells in worth.items()} == {
        each["text"]: each["verdict"] for each in document["categories"]["gear"]["variants"]["gear@1"]["contributions"]
    }
    pictures = page.find("div", klass="misses")
    assert [len(kind.find("img")) for kind in pictures] == [2, 3], "two defects and three good images"
    assert all(e.attributes["src"].startswith("data:image/jpeg;base64,") for e in pictures[0].find("img"))
    assert "Difference to gear@1" in [heading.text for heading in page.find("h3")]


def rename_to_bytes(path, name):
    """Give a file a name that is no UTF-8."""
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/" + name))


def test_names_that_are_no_utf8_among_misses_and_failures(place, tmp_path):
    root, _ = place
    make_dataset(tmp_path / "data", good=2, bad=1)
    good = tmp_path / "data" / "gear" / "test" / "good"
    tooth = next(folder for folder in sorted(good.parent.iterdir()) if folder != good)
    rename_to_bytes(good / "001.png", b"caf\xe9.png")
    rename_to_bytes(tooth / "000.png", b"\xff\xfe.png")
    rename_to_bytes(tmp_path / "data" / "gear" / "ground_truth" / tooth.name / "000_mask.png", b"\xff\xfe_mask.png")
    (good / "000.png").write_bytes(b"")
    rename_to_bytes(good / "000.png", b"sick\xe9.png")
    for form in ("json", "csv", "table"):
        done = invoke(root, "odd", "--data", str(tmp_path / "data"), "--format", form)
        assert (done.exit_code, type(done.exception)) == (1, SystemExit), done.output
    page = read_page(root / "odd" / "report.html")
    captions = [caption.text for kind in page.find("div", klass="misses") for caption in kind.find("figcaption")]
    assert any(text.endswith(r"good/caf\udce9.png") for text in captions)
    assert any(text.endswith(r"/\udcff\udcfe.png") for text in captions)
    assert r"sick\udce9.png" in page.find("section", klass="failures")[0].text
    document = json.loads((root / "odd" / "results.json").read_text())
    assert os.fsencode(document["failed"][0]["path"]).endswith(b"sick\xe9.png")


def test_table_and_csv(place):
    root, _ = place
    shown = invoke(root, "run", "gear@2")
    assert "gear: 3 good, 2 defective" in shown.stdout
    assert "winclip" in shown.stdout
    assert "(control)" in shown.stdout
    assert "difference to gear@1" in shown.stdout
    assert "gear@2 against gear@1: " in shown.stdout
    assert "each description, with it minus without" in shown.stdout
    rows = list(csv.DictReader(io.StringIO(invoke(root, "run", "gear@2", "--format", "csv").stdout)))
    assert rows[0]["variant"] == "gear@1"


def test_ablations_and_no_cache(place):
    root, document = place
    flags = ("--no-adapter", "--no-position", "--localizer", "none", "--no-cache", "--no-contributions")
    done = invoke(root, "bare", *flags, "--format", "json")
    assert done.exit_code == 0, done.output
    bare = json.loads(done.stdout)["categories"]["gear"]["variants"]["gear@1"]
    assert bare["contributions"] == []
    assert not (root / "bare" / "contributions.json").exists()
    rows, notes = compare(document, json.loads(done.stdout))
    assert "no intervals" in notes[0]
    assert [row["variant"] for row in rows] == ["gear@1", "generic", "winclip", "random"]


def test_a_checkpoint_that_saw_the_images_is_named(place):
    root, _ = place
    samples = [sample for sample in open_data(root / "data").samples if sample.split == "test"]
    known = pack(digests(samples[:2]))
    save_checkpoint(tiny_filo(), root / "trained.safetensors", whole=True, images=known)
    assert unpack(known) == digests(samples[:2])
    done = invoke(root, "seen", "--checkpoint", str(root / "trained.safetensors"), "--no-contributions")
    said = f"gear: the checkpoint was trained on 2 of these {len(samples)} images; their scores are not zero-shot"
    assert said in " ".join(done.stderr.split())
    assert said in json.loads((root / "seen" / "results.json").read_text())["warnings"]
    assert unpack("no base64!") == frozenset()
    assert "trained on" not in invoke(root, "run").stderr


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_compare_two_runs(place, form):
    root, _ = place
    same = str(root / "run")
    shown = runner.invoke(app, ["eval", "--compare", same, same, "--format", form])
    assert shown.exit_code == 0
    assert "gear@1" in shown.stdout
    assert "other images" not in shown.stderr
    if form == "json":
        row = json.loads(shown.stdout)["differences"][0]
        assert (row["image_auroc"], row["image_auroc_interval"], row["paired"]) == (0, [0, 0], True)


def test_runs_over_other_images_are_compared_unpaired_with_wider_intervals(place, tmp_path):
    root, _ = place
    shutil.copytree(root / "data", tmp_path / "data")
    (tmp_path / "data" / "gear" / "test" / "good" / "000.png").unlink()
    assert invoke(root, tmp_path / "other", "--data", str(tmp_path / "data")).exit_code == 0
    shown = runner.invoke(app, ["eval", "--compare", str(root / "run"), str(tmp_path / "other"), "--format", "json"])
    assert "gear: not paired" in shown.stderr
    assert "gear: the runs saw other images or masks" in shown.stderr
    row = json.loads(shown.stdout)["differences"][0]
    assert not row["paired"]
    low, high = row["image_auroc_interval"]
    assert low <= row["image_auroc"] <= high
    (tmp_path / "other" / "draws.npz").write_bytes(b"cut")
    shown = runner.invoke(app, ["eval", "--compare", str(root / "run"), str(tmp_path / "other")])
    assert "no intervals, since a run keeps no draws" in shown.stderr


def test_comparing_runs_over_other_pictures_warns(place, tmp_path):
    root, document = place
    document = json.loads(json.dumps(document))
    document["categories"]["gear"]["data_hash"] = "other"
    (tmp_path / "results.json").write_text(json.dumps(document))
    shown = runner.invoke(app, ["eval", "--compare", str(root / "run"), str(tmp_path)])
    assert "gear: the runs saw other images or masks" in " ".join(shown.stderr.split())


def test_shards_wait_for_each_other(place):
    root, document = place
    first = invoke(root, "parts", "gear@2", "--shard", "1/2", "--format", "json")
    assert (first.exit_code, first.stdout) == (0, "")
    assert "left to other shards" in first.stderr
    second = invoke(root, "parts", "gear@2", "--shard", "2/2", "--format", "json")
    assert json.loads(second.stdout) == document


def test_a_shard_with_a_bad_image_says_so_while_it_waits(place, tmp_path):
    root, _ = place
    make_dataset(tmp_path / "data", good=2, bad=1)
    for name in ("000", "001"):
        (tmp_path / "data" / "gear" / "test" / "good" / f"{name}.png").write_bytes(b"")
    codes = [invoke(root, "sick", "--data", str(tmp_path / "data"), "--shard", f"{part}/2") for part in (1, 2)]
    assert [done.exit_code for done in codes] == [1, 1]
    assert "left to other shards" in codes[0].stderr
    assert "left to other shards" not in codes[1].stderr
    assert "2 defective" in codes[1].stdout


def test_a_bad_image_costs_exit_code_one(place, tmp_path):
    root, _ = place
    make_dataset(tmp_path / "data", good=2, bad=1)
    (tmp_path / "data" / "gear" / "test" / "good" / "000.png").write_bytes(b"")
    done = invoke(root, "bad", "--data", str(tmp_path / "data"), "--format", "json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"][0]["path"].endswith("000.png")
    (failures,) = read_page(root / "bad" / "report.html").find("section", klass="failures")
    assert failures.find("h2")[0].text == "Images that could not be used"
    assert "000.png: " in failures.find("li")[0].text


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "a/b"])
def test_a_shard_that_makes_no_sense(text):
    with pytest.raises(EvaluationError, match=r"such as 2/3"):
        parse_shard(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no data set"),
        (["--data", "nowhere"], "no data set at nowhere"),
        (["--compare", "no", "no"], "no results in no"),
    ],
)
def test_refusals(arguments, message):
    assert message in str(runner.invoke(app, ["eval", *arguments]).exception)


def test_refusals_of_models(place):
    root, _ = place
    assert "one of them" in str(invoke(root, "x", "--preset", "mini").exception)
    assert "--dino-weights" in str(invoke(root, "x", "--localizer", "grounding-dino").exception)


def test_runs_without_anything_in_common(place, tmp_path):
    _, document = place
    with pytest.raises(EvaluationError, match="share no category"):
        compare(document, {"categories": {}})
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(EvaluationError, match="no results"):
        read_results(tmp_path)
