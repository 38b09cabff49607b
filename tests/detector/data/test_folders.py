"""Every layout becomes the same samples; every bad file is named; nothing is written into a data set."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from detector.cli.data import app
from detector.data import DataError, masks, open_data, read_mask
from detector.data.check import check
from detector.data.convert import write_manifest
from detector.errors import OutputError
from detector.images.load import ImageError, load_image
from tests.support.dataset import make_dataset

runner = CliRunner()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data"), ("gear", "plate"))


@pytest.fixture
def root(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "mvtec")


def facts(data):
    """What a reader must find, whatever the layout."""
    return [(s.category, s.split, s.defect, s.image.resolve(), s.mask and s.mask.resolve()) for s in data.samples]


def problems_of(root):
    return {problem.path.rsplit("/", 1)[-1]: problem for problem in check(open_data(root))}


def test_mvtec_layout(root):
    data = open_data(root)
    assert data.layout == "mvtec"
    assert data.categories == ("gear", "plate")
    assert data.defects("gear") == ("hole", "scratch")
    assert len(data.select(category="gear", split="train")) == 2
    tested = data.select(category="gear", split="test")
    assert [sample.defective for sample in tested] == [False] * 4 + [True] * 6
    assert all(sample.has_pixel_labels for sample in tested)
    assert tested[-1].mask == root / "gear" / "ground_truth" / "scratch" / "002_mask.png"


def test_one_category_is_a_data_set_too(root, monkeypatch):
    assert facts(open_data(root / "gear")) == facts(open_data(root, ["gear"]))
    monkeypatch.chdir(root / "gear")
    assert open_data(root.__class__(".")).categories == ("gear",)


def test_plain_folders_with_and_without_masks(root, tmp_path):
    for name in ("good", "hole"):
        shutil.copytree(root / "gear" / "test" / name, tmp_path / "plain" / "gear" / name)
    assert not any(sample.mask for sample in open_data(tmp_path / "plain").samples)
    shutil.copytree(root / "gear" / "ground_truth" / "hole", tmp_path / "plain" / "gear" / "masks" / "hole")
    data = open_data(tmp_path / "plain")
    assert (data.layout, data.defects("gear"), len(data.samples)) == ("folder", ("hole",), 7)
    assert all(sample.mask for sample in data.samples if sample.defective)


def write_visa(root, rows):
    table = root / "split_csv" / "1cls.csv"
    table.parent.mkdir(exist_ok=True)
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([("object", "split", "label", "image", "mask"), *rows])
    return table


def test_visa_split(root):
    rows = [
        ("gear", "train", "normal", "gear/train/good/000.png", ""),
        ("gear", "test", "normal", "gear/test/good/000.png", ""),
        ("gear", "test", "anomaly", "gear/test/hole/000.png", "gear/ground_truth/hole/000_mask.png"),
    ]
    table = write_visa(root, rows)
    data = open_data(root)
    assert data.layout == "visa"
    assert [(s.split, s.defect) for s in data.samples] == [("test", "anomaly"), ("test", "good"), ("train", "good")]
    assert data.samples[0].mask is not None
    assert facts(open_data(table)) == facts(data)


@pytest.mark.parametrize("name", ["all.csv", "all.jsonl"])
def test_a_manifest_holds_everything(root, tmp_path, name):
    data = open_data(root)
    write_manifest(data, tmp_path / name)
    again = open_data(tmp_path / name)
    assert again.layout == "manifest"
    assert facts(again) == facts(data)


@pytest.mark.usefixtures("root")
def test_manifest_labels_and_defaults(tmp_path):
    lines = [
        {"image": "mvtec/gear/test/good/000.png", "label": 0},
        {"image": "mvtec/gear/test/hole/000.png", "label": 1},
    ]
    (tmp_path / "parts.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    data = open_data(tmp_path / "parts.jsonl")
    assert [(s.category, s.split, s.defect) for s in data.samples] == [
        ("parts", "test", "defect"),
        ("parts", "test", "good"),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.usefixtures("root")
def test_manifests_as_spreadsheets_write_them(tmp_path, separator):
    rows = [("Image", " Label"), ("mvtec/gear/test/good/000.png", "OK"), ("mvtec/gear/test/hole/000.png", "hole, deep")]
    text = "\r\n".join(separator.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows)
    (tmp_path / "parts.csv").write_bytes(text.encode("utf-8-sig"))
    data = open_data(tmp_path / "parts.csv")
    assert [(s.image.name, s.defect) for s in data.samples] == [("000.png", "good"), ("000.png", "hole, deep")]


def test_a_listed_file_that_is_missing_is_named(root):
    good = ("gear", "test", "normal", "gear/test/good/000.png", "")
    gone = ("gear", "test", "normal", "no.png", "")
    write_visa(root, [good, gone, ("gear", "test", "anomaly", "gear/test/hole/000.png", "no_mask.png")])
    data = open_data(root)
    assert len(data.samples) == 2
    assert {problem.rsplit("/", 1)[-1] for problem in data.problems} == {
        "no.png: listed but missing",
        "no_mask.png: listed but missing",
    }
    assert "no.png" in problems_of(root)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "image,mask\nx.png,\n", "no column label"),
        ("a.csv", "image,label\n,good\n", ":2: image ''"),
        ("a.csv", "image,label,split\nx.png,good,valid\n", "expected train or test"),
        ("a.csv", b"\xff\xfe\xff", "readable UTF-8.*in a spreadsheet: save as"),
        ("a.jsonl", b"\xff\xfe\xff", "readable UTF-8"),
        ("a.jsonl", "{", ":1: .*one JSON object a line"),
        ("a.jsonl", "[1]", ":1: .*one JSON object a line"),
        ("a.jsonl", '{"image": "x.png"}', ":1: label ''"),
        ("a.jsonl", "", "holds no images"),
        ("a.jsonl", '{"image": "x.png", "label": "good"}', "x.png: listed but missing"),
        ("a.txt", "", "is a file"),
    ],
)
def test_broken_tables_are_refused_with_their_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        open_data(tmp_path / name)


def test_unknown_places_are_refused_with_the_nearest_name(root, tmp_path):
    with pytest.raises(DataError, match=r"no data set at .*mvtek.*did you mean mvtec"):
        open_data(tmp_path / "mvtek")
    with pytest.raises(DataError, match=r"no category 'gera'.*did you mean gear"):
        open_data(root, ["gera"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no layout"):
        open_data(tmp_path / "empty")


def test_check_names_every_bad_file(root):
    holes, truth = root / "gear" / "test" / "hole", root / "gear" / "ground_truth" / "hole"
    (holes / "000.png").write_bytes((holes / "000.png").read_bytes()[:200])
    Image.new("L", (5, 7)).save(truth / "001_mask.png")
    Image.new("L", (48, 48)).save(truth / "002_mask.png")
    (root / "gear" / "ground_truth" / "scratch" / "000_mask.png").unlink()
    (root / "gear" / "ground_truth" / "scratch" / "001_mask.png").write_bytes(b"no picture")
    Image.new("L", (48, 48), 255).save(root / "gear" / "ground_truth" / "scratch" / "002_mask.png")
    Image.new("L", (1, 1)).save(root / "gear" / "test" / "good" / "tiny.png")
    shutil.copy(root / "gear" / "test" / "scratch" / "000.png", root / "gear" / "test" / "good" / "twin.png")
    problems = list(check(open_data(root / "gear")))
    expected = {
        ("hole/000.png", "cannot be read"): True,
        ("hole/001_mask.png", "is 5x7; expected 48x48"): True,
        ("hole/002_mask.png", "mask is empty"): True,
        ("scratch/000.png", "no mask"): False,
        ("scratch/001_mask.png", "cannot be read"): True,
        ("scratch/002_mask.png", "whole image"): False,
        ("good/tiny.png", "only 1x1"): True,
        ("scratch/000.png", "the other label"): True,
    }
    for (path, message), severe in expected.items():
        assert any(p.path.endswith(path) and message in p.message and p.severe is severe for p in problems), message
    assert len(problems) == len(expected)


def test_check_notes_a_defect_that_the_model_cannot_see(root):
    line = np.zeros((1024, 1024), dtype=np.uint8)
    line[500:502] = 255
    Image.fromarray(line).save(root / "gear" / "test" / "hole" / "thin.png")
    Image.fromarray(line).save(root / "gear" / "ground_truth" / "hole" / "thin_mask.png")
    (problem,) = check(open_data(root))
    assert (problem.path.endswith("thin_mask.png"), problem.severe) == (True, False)
    assert "too thin to be seen at 252x252" in problem.message


def test_check_names_a_file_whose_name_is_no_utf8(root):
    Path(os.fsdecode(os.fsencode(root) + b"/gear/test/good/caf\xe9.png")).touch()
    result = runner.invoke(app, ["check", str(root)])
    assert (result.exit_code, r"caf\udce9.png: is empty" in result.stdout) == (1, True), result.exception


def test_check_goes_on_after_a_file_that_cannot_be_opened(root, monkeypatch):
    bad, read = root / "gear" / "test" / "good" / "000.png", Path.read_bytes
    bad.write_bytes(b"")

    def refuse(path):
        if path == bad:
            raise PermissionError
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert [problem.path for problem in check(open_data(root))] == [str(bad)]


def test_a_mask_that_claims_to_be_huge_is_refused_before_decoding(root, monkeypatch):
    path = root / "gear" / "ground_truth" / "hole" / "000_mask.png"
    monkeypatch.setattr(masks, "MAX_PIXELS", 100)
    with pytest.raises(ImageError, match="48 x 48 pixels"):
        read_mask(path, (8, 8))
    assert read_mask(path, (48, 48)).any(), "an image of this size was allowed, so its mask is too"


def test_a_damaged_mask_is_one_line(tmp_path):
    Image.new("L", (48, 48)).save(tmp_path / "mask.bmp")
    content = bytearray((tmp_path / "mask.bmp").read_bytes())
    content[21] = content[25] = 0x7F  # width and height
    (tmp_path / "mask.bmp").write_bytes(content)
    with pytest.raises(ImageError):
        read_mask(tmp_path / "mask.bmp", (48, 48))
    content[25] = 0x80  # a height with a sign
    (tmp_path / "mask.bmp").write_bytes(content)
    with pytest.raises(ImageError):
        read_mask(tmp_path / "mask.bmp", (48, 48))


def test_a_mask_is_turned_as_its_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.zeros((10, 20), dtype=np.uint8)
    values[0] = 255
    Image.fromarray(values).save(tmp_path / "mask.png", exif=exif)
    mask = read_mask(tmp_path / "mask.png", load_image(tmp_path / "mask.png").size)
    assert mask[:, -1].all()
    assert mask.sum() == 20


def test_masks_are_resized_as_the_release_does(root):
    path = root / "gear" / "ground_truth" / "hole" / "000_mask.png"
    whole, small = read_mask(path, (48, 48)), read_mask(path, (48, 48), 24)
    assert (whole.shape, small.shape, small.dtype) == ((48, 48), (24, 24), np.bool_)
    assert small.mean() == pytest.approx(whole.mean(), abs=0.01)
    assert not read_mask(None, (40, 30), 24).any()
    assert read_mask(None, (40, 30)).shape == (30, 40)
    with pytest.raises(ImageError, match="48x48; expected 40x48"):
        read_mask(path, (40, 48))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "I;16"])
def test_masks_of_any_mode(tmp_path, mode):
    values = np.zeros((10, 10), dtype=np.uint8)
    values[2:4, 5:9] = 1
    if mode == "I;16":
        picture = Image.fromarray(values.astype(np.uint16))
    elif mode == "P":
        picture = Image.fromarray(values, "L").convert("P")
    else:
        picture = Image.fromarray(values * 255).convert(mode)
    picture.save(tmp_path / "mask.png")
    assert (read_mask(tmp_path / "mask.png", (10, 10)) == values.astype(bool)).all()


def test_a_manifest_is_never_written_into_the_data(root, tmp_path):
    data = open_data(root)
    with pytest.raises(DataError, match="inside the data set"):
        write_manifest(data, root / "all.csv")
    with pytest.raises(DataError, match="ending in"):
        write_manifest(data, tmp_path / "all.xml")
    assert not (root / "all.csv").exists()


def test_a_manifest_that_cannot_be_written_is_one_line(root, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written to: .*; free space or name another --to"):
        write_manifest(open_data(root), tmp_path / "file" / "all.csv")


def test_check_reads_as_asked_for(root, monkeypatch):
    for name in ("000.png", "001.png"):
        path = root / "gear" / "test" / "good" / name
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16) * 16).save(path)

    def said(*options):
        return runner.invoke(app, ["check", str(root / "gear"), *options]).stdout

    assert "16-bit files with 12-bit values, read as 12 bits; type --bits" in said()
    assert "type --bits" not in said("--bits", "12")
    assert "000.png: has 48 x 48 pixels; expected at most 2,000" in said("--max-pixels", "2000")
    monkeypatch.setenv("FILO_FORGE_MAX_PIXELS", "2000")
    assert "expected at most 2,000" in said()
    assert "expected at most" not in said("--max-pixels", "3000")


def test_commands(root, tmp_path):
    clean = runner.invoke(app, ["check", str(root)])
    assert (clean.exit_code, clean.stdout.splitlines()[-1]) == (0, "24 samples, 0 bad, 0 notes")
    (root / "gear" / "test" / "good" / "000.png").write_bytes(b"")
    broken = runner.invoke(app, ["check", str(root), "--json"])
    assert broken.exit_code == 1
    assert "000.png" in json.loads(broken.stdout)["problems"][0]["path"]
    counted = json.loads(runner.invoke(app, ["summary", str(root), "--json"]).stdout)
    assert counted["categories"][0] == {
        "category": "gear",
        "train_good": 2,
        "test_good": 4,
        "defects": {"hole": 3, "scratch": 3},
        "masks": 6,
    }
    assert (
        "plate: good 2 train, 4 test; hole 3, scratch 3; 6 masks" in runner.invoke(app, ["summary", str(root)]).stdout
    )
    converted = runner.invoke(app, ["convert", str(root), "--to", str(tmp_path / "all.jsonl")])
    assert converted.exit_code == 0
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 24


@pytest.mark.parametrize("name", ["mvtec/transistor", "magnetic_tile", "leather", "crackforest", "deeppcb", "dtd10"])
def test_real_data_sets_are_read(real_images, name):
    data = open_data(real_images / name)
    assert data.layout == "mvtec"
    defective = [sample for sample in data.samples if sample.defective]
    assert all(sample.mask for sample in defective)
