import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.cli.app import app
from detector.data import open_data
from detector.data.coco import PixelBox, boxes_of, coco, phrase_for
from detector.data.errors import TrainingDataError
from detector.errors import OutputError
from tests.support.dataset import make_dataset


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    root = tmp_path_factory.mktemp("boxes")
    make_dataset(root / "data", ("cloth",))
    entries = (Anomaly(id="a", text="Long scratch"), Anomaly(id="b", text="stain"))
    Store(root / "library").save(DescriptionFile(category="cloth", object_name="cloth", anomalies=entries))
    return root


def test_every_region_gets_a_tight_box_and_specks_none():
    mask = np.zeros((10, 12), dtype=bool)
    mask[1:4, 2:5] = True
    mask[4, 5] = True  # touches the first by a corner
    mask[7:9, 8:12] = True
    mask[9, 0] = True
    assert boxes_of(mask) == [PixelBox(2, 1, 4, 4, 10), PixelBox(8, 7, 4, 2, 8)]


def test_phrases_are_descriptions_where_words_agree():
    texts = ["bent lead", "deep scratch in the case"]
    assert phrase_for("scratch_case", texts) == "deep scratch in the case"
    assert phrase_for("Misplaced_part", texts) == "misplaced part"
    assert phrase_for("hole", []) == "hole"


def test_command_writes_coco_with_phrases_and_captions(workplace, tmp_path):
    target = tmp_path / "boxes.json"
    options = ["data", "boxes", str(workplace / "data"), "--to", str(target)]
    result = CliRunner().invoke(
        app, [*options, "--descriptions-dir", str(workplace / "library")], catch_exceptions=False
    )
    assert result.exit_code == 0
    document = json.loads(target.read_text())
    assert {category["name"] for category in document["categories"]} == {"Long scratch", "hole"}
    assert len(document["images"]) == 12
    for note in document["annotations"]:
        image = document["images"][note["image_id"] - 1]
        x, y, width, height = note["bbox"]
        assert 0 <= x < x + width <= image["width"]
        assert 0 <= y < y + height <= image["height"]
        assert note["phrase"] in image["caption"]
        picture = np.asarray(Image.open(image["file_name"]))
        assert picture[y : y + height, x : x + width].min() < 60


def test_nothing_is_written_into_the_data_set(workplace):
    options = ["data", "boxes", str(workplace / "data"), "--to", str(workplace / "data" / "boxes.json")]
    with pytest.raises(TrainingDataError, match="inside the data set"):
        CliRunner().invoke(app, options, catch_exceptions=False)


def test_a_data_set_without_defects_is_said(workplace):
    good = [sample for sample in open_data(workplace / "data").samples if not sample.defective]
    descriptions = {"cloth": DescriptionFile(category="cloth", object_name="cloth")}
    with pytest.raises(TrainingDataError, match="no image has a mask"):
        coco(good, descriptions)


def test_boxes_that_cannot_be_written_are_one_line(workplace, tmp_path):
    (tmp_path / "file").touch()
    options = ["--to", str(tmp_path / "file" / "boxes.json"), "--descriptions-dir", str(workplace / "library")]
    with pytest.raises(OutputError, match=r"boxes.json cannot be written to: .*another --to"):
        CliRunner().invoke(app, ["data", "boxes", str(workplace / "data"), *options], catch_exceptions=False)
