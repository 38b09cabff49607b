"""Phrases on photos, with the bundled model and drawn products: good photos make "there" and "not there" answers."""

import json

import numpy as np
import pytest

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector import Bank, Detector, Grounder
from detector.context.storage import save_bank
from detector.detect.asked import AskError
from detector.errors import DetectorError
from detector.ground.describe import describe
from detector.ground.grounder import NOT_TOLD, on_side
from detector.images.load import ImageError
from tests.support.detecting import run
from tests.support.pictures import plate

RING = DescriptionFile(
    category="ring",
    object_name="ring",
    parts=("rim",),
    anomalies=(Anomaly(id="scratch", text="scratch"), Anomaly(id="stain", text="stain")),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    Store(folder / "library").save(RING)
    (folder / "good").mkdir()
    for seed in range(6):
        plate(seed).save(folder / "good" / f"{seed}.png")
    plate(30, scratched=True).save(folder / "scratched.png")
    plate(31).save(folder / "fine.png")
    return folder


@pytest.fixture(scope="module")
def detector(home) -> Detector:
    return Detector.from_pretrained("mini", store=Store(home / "library"), device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def bank(detector, home) -> Bank:
    return Bank.from_images(detector, sorted((home / "good").iterdir()), category="ring")


@pytest.fixture(scope="module")
def references(bank, home):
    save_bank(bank, home / "ring.refs.safetensors")
    return ["--references", str(home / "ring.refs.safetensors")]


@pytest.fixture(scope="module")
def scratched(detector, bank, home):
    grounder = Grounder(detector, references=bank)
    return grounder.ground(home / "scratched.png", ["scratch", "the rim"], object_name="ring")


def test_beside_good_photos_there_and_not_there_are_answers(scratched, detector, bank, home):
    assert (scratched[0].present, scratched[0].score) == (True, pytest.approx(6 / 7))
    (fine,) = Grounder(detector, references=bank).ground(home / "fine.png", ["scratch"], object_name="ring")
    assert fine.present is False
    assert fine.score < 6 / 7
    assert "6 good photos promise no rate below 14.3%" in scratched[0].notes


def test_the_map_points_at_the_scratch(scratched):
    answer = scratched[0]
    height, width = answer.map.shape
    row, column = np.unravel_index(int(answer.map.argmax()), answer.map.shape)
    assert (row / height, column / width) == pytest.approx((0.65, 0.5), abs=0.17)
    assert answer.region == "center"
    assert answer.position.endswith("of the ring")
    assert answer.boxes[0].phrase == "scratch"


def test_a_part_is_on_good_photos_too_so_they_do_not_tell(scratched):
    assert (scratched[1].kind, scratched[1].present, scratched[1].score) == ("part", None, None)


def test_one_photo_alone_does_not_tell(detector, home):
    (answer,) = Grounder(detector).ground(home / "fine.png", ["scratch on the rim"], object_name="ring")
    assert answer.present is None
    assert NOT_TOLD in answer.notes
    assert answer.position.endswith("of the rim")
    assert answer.map.shape == (detector.model.config.image_size,) * 2


def test_a_phrase_alone_answers_as_the_same_words_do_in_detect(detector, home):
    (answer,) = Grounder(detector).ground(home / "scratched.png", ["a scratch"], object_name="ring")
    version = DescriptionFile(
        category="ring", object_name="ring", abnormal=(), anomalies=(Anomaly(id="x", text="scratch"),)
    )
    (detection,) = detector.predict([home / "scratched.png"], version)
    assert np.array_equal(answer.map, detection.map)


def test_a_side_puts_the_area_nearest_to_it_first(scratched):
    areas = list(scratched[0].areas[:1])
    left = areas[0]._replace(box=areas[0].box._replace(x0=0.0, x1=0.1))
    right = areas[0]._replace(box=areas[0].box._replace(x0=0.9, x1=1.0))
    assert on_side([right, left], "left") == [left, right]
    assert on_side([left, right], "bottom right") == [right, left]


def test_wrong_use_is_one_clear_line(detector, home):
    grounder = Grounder(detector)
    with pytest.raises(AskError, match=r"phrases is 'dent'; expected a list of at least one phrase; write \['dent'\]"):
        grounder.ground(home / "fine.png", "dent")
    with pytest.raises(AskError, match="expected a list of at least one phrase"):
        grounder.ground(home / "fine.png", [])
    with pytest.raises(ImageError):
        grounder.ground(home / "none.png", ["dent"])
    with pytest.raises(AskError, match="false_alarms=1"):
        Grounder(detector, false_alarms=1)
    with pytest.raises(AskError, match="expected a Bank"):
        Grounder(detector, references=["a.png"])  # type: ignore[arg-type]
    tiled = Detector(detector.model, tile=64, device="cpu")
    with pytest.raises(AskError, match="tile=64"):
        Grounder(tiled)


def test_a_description_is_made_of_its_facts(detector, bank, home):
    beside = detector.with_references(bank)
    account = describe(beside, home / "scratched.png", "ring")
    first = account.facts[0]
    assert account.unusual is True
    assert account.text.startswith("This photo is more unusual than all 6 good photos. It shows at the ")
    assert first.position in account.text
    assert f"\N{LEFT DOUBLE QUOTATION MARK}{first.text}\N{RIGHT DOUBLE QUOTATION MARK}" in account.text
    assert account.to_dict()["facts"][0]["area"]["direction"] == first.area.direction
    fine = describe(beside, home / "fine.png", "ring")
    assert (fine.unusual, fine.facts) == (False, ())
    assert fine.text.startswith("Nothing unusual: ")
    alone = describe(detector, home / "fine.png", "ring")
    assert alone.unusual is None
    assert "cannot be told" in alone.text
    assert all(text.text.count(". ") <= 2 for text in (account, fine, alone))


def test_ground_from_the_command_line(home, references):
    library = ["--category", "ring", "--descriptions-dir", str(home / "library"), *references]
    base = ["ground", str(home / "scratched.png"), "scratch", "rim", *library]
    done = run([*base, "--format", "json", "--out", str(home / "out")])
    assert done.exit_code == 0, done.output
    scratch, rim = json.loads(done.stdout)["phrases"]
    assert (scratch["present"], scratch["kind"], rim["kind"]) == (True, "defect", "part")
    assert (home / "out" / "1-scratch.png").read_bytes().startswith(b"\x89PNG")
    assert scratch["picture"] == str(home / "out" / "1-scratch.png")
    table = run(base[: -len(references)])
    assert table.stdout.count("not told") == 2
    assert "of the ring" in table.stdout
    with pytest.raises(DetectorError, match="both --category and --object"):
        run([*base, "--object", "ring"])


def test_describe_from_the_command_line_goes_on_behind_bad_files(home, references):
    (home / "bad.png").write_bytes(b"no picture")
    photos = [str(home / name) for name in ("scratched.png", "bad.png")]
    base = ["describe", *photos, "--category", "ring", "--descriptions-dir", str(home / "library"), *references]
    done = run([*base, "--format", "json"])
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert [each["unusual"] for each in document["images"]] == [True]
    assert [each["path"] for each in document["failed"]] == [photos[1]]
    assert "cannot be told without good photos" in run(base[: -len(references)]).stdout
