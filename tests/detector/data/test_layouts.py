"""Every layout that is read by name, as a small tree; and masks that belong to nothing are said."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from detector.cli.data import app
from detector.data import DataError, open_data, read_mask
from detector.data.check import check, inverted_masks
from detector.images.find import find_images

SIDE = 24


def picture(path: Path, shade: int = 0) -> Path:
    """A photo that differs from the others by its name and shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(map(ord, str(path))) + shade
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return path


def mask(path: Path, rows: slice = slice(4, 10), value: int = 255) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((SIDE, SIDE), dtype=np.uint8)
    values[rows, 4:12] = value
    Image.fromarray(values).save(path)
    return path


def blank(path: Path) -> Path:
    return mask(path, slice(0, 0))


def facts(root: Path) -> set[tuple[str, str, str, str, str | None]]:
    """Category, split, defect, image and mask of every sample, paths relative to the data set."""
    return {
        (
            s.category,
            s.split,
            s.defect,
            s.image.relative_to(root).as_posix(),
            s.mask.relative_to(root).as_posix() if s.mask else None,
        )
        for s in open_data(root).samples
    }


def severe(root: Path) -> list[str]:
    return [f"{problem.path}: {problem.message}" for problem in check(open_data(root)) if problem.severe]


def test_mvtec_ad_2(tmp_path):
    picture(tmp_path / "can/train/good/000.png")
    picture(tmp_path / "can/validation/good/001.png")
    picture(tmp_path / "can/test_public/good/000_regular.png")
    picture(tmp_path / "can/test_public/bad/000_regular.png")
    mask(tmp_path / "can/test_public/ground_truth/bad/000_regular_mask.png")
    picture(tmp_path / "can/test_private/000_regular.png")
    picture(tmp_path / "can/test_private_mixed/000_mixed.png")
    truth = "can/test_public/ground_truth/bad/000_regular_mask.png"
    assert facts(tmp_path) == {
        ("can", "train", "good", "can/train/good/000.png", None),
        ("can", "train", "good", "can/validation/good/001.png", None),
        ("can", "test", "good", "can/test_public/good/000_regular.png", None),
        ("can", "test", "bad", "can/test_public/bad/000_regular.png", truth),
    }
    notes = open_data(tmp_path).notes
    assert len(notes) == 2
    assert "test_private: 1 image(s) without published truth, left out" in notes[0]
    assert not severe(tmp_path)


def test_mvtec_loco_joins_the_masks_of_an_image(tmp_path):
    picture(tmp_path / "box/train/good/000.png")
    picture(tmp_path / "box/test/good/000.png", 1)
    image = picture(tmp_path / "box/test/logical_anomalies/000.png")
    folder = tmp_path / "box/ground_truth/logical_anomalies/000"
    mask(folder / "000.png", slice(0, 4), 248)
    mask(folder / "001.png", slice(10, 14), 236)
    (sample,) = [sample for sample in open_data(tmp_path).samples if sample.defective]
    assert (sample.image, sample.mask) == (image, folder)
    joined = read_mask(sample.mask, (SIDE, SIDE))
    assert sorted(set(np.nonzero(joined)[0])) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert not severe(tmp_path)


def test_mvtec_3d(tmp_path):
    picture(tmp_path / "bagel/train/good/rgb/000.png")
    picture(tmp_path / "bagel/test/good/rgb/000.png", 1)
    blank(tmp_path / "bagel/test/good/gt/000.png")
    picture(tmp_path / "bagel/test/crack/rgb/000.png")
    mask(tmp_path / "bagel/test/crack/gt/000.png")
    Image.fromarray(np.zeros((SIDE, SIDE), np.float32)).save(
        (tmp_path / "bagel/test/crack/xyz").mkdir() or tmp_path / "bagel/test/crack/xyz/000.tiff"
    )
    assert facts(tmp_path) == {
        ("bagel", "train", "good", "bagel/train/good/rgb/000.png", None),
        ("bagel", "test", "good", "bagel/test/good/rgb/000.png", None),
        ("bagel", "test", "crack", "bagel/test/crack/rgb/000.png", "bagel/test/crack/gt/000.png"),
    }
    assert not severe(tmp_path)


def test_btad(tmp_path):
    picture(tmp_path / "01/train/ok/0000.bmp")
    picture(tmp_path / "01/test/ok/0000.bmp", 1)
    picture(tmp_path / "01/test/ko/0000.bmp")
    mask(tmp_path / "01/ground_truth/ko/0000.png")
    assert ("01", "test", "ko", "01/test/ko/0000.bmp", "01/ground_truth/ko/0000.png") in facts(tmp_path)
    assert {fact[2] for fact in facts(tmp_path)} == {"good", "ko"}
    assert not severe(tmp_path)


def test_mpdd(tmp_path):
    picture(tmp_path / "bracket_black/train/good/000.png")
    picture(tmp_path / "bracket_black/test/hole/000.png")
    mask(tmp_path / "bracket_black/ground_truth/hole/000_mask.png")
    assert [fact[4] for fact in facts(tmp_path) if fact[2] == "hole"] == [
        "bracket_black/ground_truth/hole/000_mask.png"
    ]


def test_visa_as_downloaded(tmp_path):
    picture(tmp_path / "candle/Data/Images/Normal/0000.JPG")
    picture(tmp_path / "candle/Data/Images/Anomaly/000.JPG")
    mask(tmp_path / "candle/Data/Masks/Anomaly/000.png")
    assert open_data(tmp_path).layout == "visa"
    assert facts(tmp_path) == {
        ("candle", "test", "good", "candle/Data/Images/Normal/0000.JPG", None),
        ("candle", "test", "Anomaly", "candle/Data/Images/Anomaly/000.JPG", "candle/Data/Masks/Anomaly/000.png"),
    }


@pytest.mark.parametrize("where", ["", "realiad_1024"])
def test_real_iad(tmp_path, where):
    photos = tmp_path / where / "audiojack"
    picture(photos / "OK/S0001/a.jpg")
    picture(photos / "OK/S0002/b.jpg")
    picture(photos / "NG/AK/S0003/c.jpg")
    mask(photos / "NG/AK/S0003/c.png")
    entry = {"category": "audiojack", "anomaly_class": "OK", "image_path": "OK/S0001/a.jpg", "mask_path": None}
    bad = {**entry, "anomaly_class": "AK", "image_path": "NG/AK/S0003/c.jpg", "mask_path": "NG/AK/S0003/c.png"}
    test = [{**entry, "image_path": "OK/S0002/b.jpg"}, bad]
    document = {"meta": {"normal_class": "OK", "prefix": "audiojack/"}, "train": [entry], "test": test}
    listing = tmp_path / "realiad_jsons" / "audiojack.json"
    listing.parent.mkdir()
    listing.write_text(json.dumps(document))
    data = open_data(tmp_path)
    assert (data.layout, data.problems) == ("real-iad", ())
    assert [(s.split, s.defect, s.mask and s.mask.name) for s in data.samples] == [
        ("test", "AK", "c.png"),
        ("test", "good", None),
        ("train", "good", None),
    ]


def test_real_iad_with_several_splits_is_read_once(tmp_path):
    picture(tmp_path / "audiojack/OK/S0001/a.jpg")
    entry = {"category": "audiojack", "anomaly_class": "OK", "image_path": "OK/S0001/a.jpg", "mask_path": None}
    document = {"meta": {"normal_class": "OK", "prefix": "audiojack/"}, "train": [], "test": [entry]}
    for name in ("realiad_jsons_sv", "realiad_jsons_fuiad_0.1", "realiad_jsons"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "audiojack.json").write_text(json.dumps(document))
    assert len(open_data(tmp_path).samples) == 1
    (tmp_path / "realiad_jsons" / "audiojack.json").unlink()
    with pytest.raises(DataError, match=r"audiojack is listed in .*; expected one list per product; type .*\.json"):
        open_data(tmp_path)


@pytest.mark.parametrize("names", [("Train", "Test", "Label"), ("train", "test", "label")])
def test_dagm_in_any_case(tmp_path, names):
    train, test, label = names
    for name in (train, test):
        picture(tmp_path / f"Class1/{name}/0001.PNG")
        picture(tmp_path / f"Class1/{name}/0002.PNG")
        mask(tmp_path / f"Class1/{name}/{label}/0002_label.PNG")
    assert {(s.split, s.defect, s.image.name) for s in open_data(tmp_path).samples} == {
        ("train", "good", "0001.PNG"),
        ("train", "defect", "0002.PNG"),
        ("test", "good", "0001.PNG"),
        ("test", "defect", "0002.PNG"),
    }


def test_dagm(tmp_path):
    for name in ("Train", "Test"):
        picture(tmp_path / f"Class1/{name}/0001.PNG")
        picture(tmp_path / f"Class1/{name}/0002.PNG")
        mask(tmp_path / f"Class1/{name}/Label/0002_label.PNG")
        (tmp_path / f"Class1/{name}/Label/Labels.txt").write_text("1\n")
    assert open_data(tmp_path).layout == "dagm"
    assert facts(tmp_path) >= {
        ("Class1", "train", "defect", "Class1/Train/0002.PNG", "Class1/Train/Label/0002_label.PNG"),
        ("Class1", "test", "good", "Class1/Test/0001.PNG", None),
    }


def test_kolektor_sdd_2(tmp_path):
    root = tmp_path / "KolektorSDD2"
    for name in ("train", "test"):
        picture(root / name / "10000.png")
        blank(root / name / "10000_GT.png")
        picture(root / name / "10001.png")
        mask(root / name / "10001_GT.png")
    assert open_data(root).layout == "kolektor"
    assert facts(root) >= {
        ("KolektorSDD2", "test", "good", "test/10000.png", None),
        ("KolektorSDD2", "train", "defect", "train/10001.png", "train/10001_GT.png"),
    }
    assert len(facts(root)) == 4


def test_kolektor_without_a_mask_says_nothing_about_an_image(tmp_path):
    picture(tmp_path / "train/10000.png")
    blank(tmp_path / "train/10000_GT.png")
    picture(tmp_path / "train/10001.png")
    data = open_data(tmp_path)
    assert [sample.image.name for sample in data.samples] == ["10000.png"]
    assert data.problems == (
        f"{tmp_path}/train: 1 image(s) without a mask, such as 10001.png; left out, since masks say here what is good",
    )


def test_anomalib_folder(tmp_path):
    picture(tmp_path / "hazel/normal/000.png")
    picture(tmp_path / "hazel/abnormal/b000.png")
    mask(tmp_path / "hazel/mask/b000.png")
    assert facts(tmp_path) == {
        ("hazel", "test", "good", "hazel/normal/000.png", None),
        ("hazel", "test", "abnormal", "hazel/abnormal/b000.png", "hazel/mask/b000.png"),
    }
    picture(tmp_path / "hazel/normal_test/001.png")
    assert {fact[2] for fact in facts(tmp_path)} == {"good", "abnormal"}
    assert not severe(tmp_path)


def test_meta_json(tmp_path):
    picture(tmp_path / "images/g.png")
    picture(tmp_path / "images/b.png")
    mask(tmp_path / "images/m.png")
    good = {"img_path": "images/g.png", "mask_path": "", "cls_name": "pcb", "specie_name": "", "anomaly": 0}
    bad = {**good, "img_path": "images/b.png", "mask_path": "images/m.png", "specie_name": "bent", "anomaly": 1}
    (tmp_path / "meta.json").write_text(json.dumps({"train": {}, "test": {"pcb": [good, bad]}}))
    wanted = {("pcb", "test", "good", "images/g.png", None), ("pcb", "test", "bent", "images/b.png", "images/m.png")}
    assert facts(tmp_path) == wanted
    assert open_data(tmp_path / "meta.json").layout == "meta"
    windows = {**bad, "img_path": "images\\b.png", "mask_path": "images\\m.png"}
    (tmp_path / "meta.json").write_text(json.dumps({"train": {}, "test": {"pcb": [good, windows]}}))
    assert facts(tmp_path) == wanted
    (tmp_path / "meta.json").write_text(json.dumps({"test": {"pcb": [{**good, "anomaly": 7}]}}))
    with pytest.raises(DataError, match=r"test\.pcb, entry 1: anomaly 7; expected 0 or 1"):
        open_data(tmp_path)


def test_an_unknown_layout_says_what_was_found(tmp_path):
    picture(tmp_path / "archive/bottle/shots/1.png")
    picture(tmp_path / "loose/2.png")
    with pytest.raises(DataError, match=r"it holds archive/ with bottle/ \(1 folders\), loose/ \(1 pictures\)"):
        open_data(tmp_path)
    picture(tmp_path / "archive/bottle/train/good/1.png")
    with pytest.raises(DataError, match=rf"; type {tmp_path}/archive$"):
        open_data(tmp_path)


def mvtec(root: Path, *names: str) -> Path:
    """A capsule with one good image and cracked ones."""
    picture(root / "capsule/test/good/000.png")
    for name in names:
        picture(root / "capsule/test/cracked" / name)
    return root / "capsule/ground_truth/cracked"


@pytest.mark.parametrize(
    ("image", "named"),
    [
        ("000.png", "000_mask.png"),
        ("000.png", "000.png"),
        ("000.png", "000_gt.png"),
        ("000.png", "000_label.png"),
        ("000.png", "000_seg.png"),
        ("000.png", "000-mask.png"),
        ("000.png", "000 mask.png"),
        ("000.png", "000mask.png"),
        ("000.png", "000_MASK.png"),
        ("000.png", "mask_000.png"),
        ("image3.png", "mask3.png"),
        ("000.png", "000.bmp"),
        ("000.jpg", "000_GT.bmp"),
        (unicodedata.normalize("NFC", "böse.png"), unicodedata.normalize("NFD", "böse_mask.png")),
    ],
)
def test_masks_are_found_however_people_name_them(tmp_path, image, named):
    masks = mvtec(tmp_path, image)
    mask(masks / named)
    data = open_data(tmp_path)
    assert [sample.mask for sample in data.samples if sample.defective] == [masks / named]
    assert data.problems == ()


@pytest.mark.parametrize(
    "folder",
    [
        "gear/gt/bad",
        "gear/Ground Truth/bad",
        "gear/GroundTruth/Bad",
        "gear/segmentation/bad",
        "gear/gt",
        "masks/gear/bad",
        "ground_truth/GEAR/bad",
    ],
)
@pytest.mark.parametrize("layout", ["gear/{}", "gear/test/{}"])
def test_masks_are_found_in_folders_however_people_name_them(tmp_path, folder, layout):
    picture(tmp_path / layout.format("good/000.png"))
    image = picture(tmp_path / layout.format("bad/001.png"))
    truth = mask(tmp_path / folder / "001.png")
    for root in (tmp_path, tmp_path / "gear"):
        data = open_data(root)
        assert [(s.image, s.mask) for s in data.samples if s.defective] == [(image, truth)]
        assert data.problems == ()
    assert find_images([str(tmp_path)]).masks == [truth]


def test_kinds_are_matched_in_any_spelling(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Böse") for form in ("NFC", "NFD"))
    picture(tmp_path / "gear/test/good/000.png")
    picture(tmp_path / "gear/test" / composed / "001.png")
    truth = mask(tmp_path / "gear/ground_truth" / decomposed.lower() / "001_mask.png")
    assert [sample.mask for sample in open_data(tmp_path).samples if sample.defective] == [truth]


def test_masks_of_training_and_test_images_in_one_folder(tmp_path):
    for name in ("train/good/000", "train/bad/001", "test/good/002", "test/bad/003"):
        picture(tmp_path / f"gear/{name}.png")
    masks = [mask(tmp_path / f"gear/ground_truth/bad/{name}_mask.png") for name in ("001", "003")]
    data = open_data(tmp_path)
    assert sorted(sample.mask for sample in data.samples if sample.mask) == masks
    assert data.problems == ()
    picture(tmp_path / "gear/train/bad/003.png")
    data = open_data(tmp_path)
    assert [sample.mask for sample in data.samples if sample.mask] == masks[:1]
    assert [line.partition(": ")[2][:33] for line in data.problems] == ["cannot tell which image is meant:"]


@pytest.mark.parametrize(
    ("images", "named"),
    [
        (("000.bmp", "000.png"), ("000_mask.bmp", "000_mask.png")),
        (("000.bmp", "000.png"), ("000.bmp", "000.png")),
        [[unicodedata.normalize(form, name) for form in ("NFC", "NFD")] for name in ("ö.png", "ö_mask.png")],
    ],
)
def test_images_of_one_name_have_masks_of_their_own(tmp_path, images, named):
    folder = mvtec(tmp_path, *images)
    truth = [mask(folder / name) for name in named]
    data = open_data(tmp_path)
    cracked = {sample.image.name: sample.mask for sample in data.samples if sample.defective}
    assert [cracked[name] for name in images] == truth
    assert data.problems == ()


def test_masks_of_a_category_that_is_not_there_are_named(tmp_path):
    picture(tmp_path / "gear/good/000.png")
    mask(tmp_path / "masks/cog/bad/001.png")
    mask(tmp_path / "masks/002.png")
    loose, other = open_data(tmp_path).problems
    assert loose == f"{tmp_path}/masks: 1 mask(s) belong to no category; there are gear"
    assert other == f"{tmp_path}/masks/cog: a folder of masks of no category; there are gear"


def test_pictures_that_are_too_deep_are_named(tmp_path):
    picture(tmp_path / "gear/good/000.png")
    picture(tmp_path / "gear/bad/camera 1/000.png", 1)
    assert open_data(tmp_path).notes == (f"{tmp_path}/gear/bad: pictures in camera 1/ below it are not read",)


def test_a_mask_beside_its_image_is_no_image(tmp_path):
    mvtec(tmp_path, "000.png")
    beside = mask(tmp_path / "capsule/test/cracked/000_mask.png")
    assert [(s.image.name, s.mask) for s in open_data(tmp_path).samples if s.defective] == [("000.png", beside)]


def test_masks_that_belong_to_nothing_are_an_error_of_the_data_set(tmp_path):
    masks = mvtec(tmp_path, "000.png", "001.png")
    mask(masks / "000_mask.png")
    mask(masks / "crack-1.png")
    mask(tmp_path / "capsule/ground_truth/dented/000_mask.png")
    (unknown, orphan) = sorted(open_data(tmp_path).problems, reverse=True)
    assert f"{masks}: 1 mask(s) belong to no image, such as crack-1.png; images here are named like 000.png" == orphan
    assert "dented: 1 mask(s) of a kind without images; kinds with images: cracked, good" in unknown
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert done.exit_code == 1
    assert "belong to no image" in done.stdout


def test_a_category_is_named_in_any_spelling(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Öse") for form in ("NFC", "NFD"))
    picture(tmp_path / decomposed / "good/000.png")
    for typed in (composed, decomposed, composed.lower()):
        assert open_data(tmp_path, [typed]).categories == (decomposed,)


def test_what_is_wrong_with_another_category_is_not_said(tmp_path):
    for name in ("cog", "gear"):
        picture(tmp_path / name / "test/good/000.png")
        picture(tmp_path / name / "test/bad/001.png")
    mask(tmp_path / "cog/ground_truth/bad/lost.png")
    assert len(open_data(tmp_path).problems) == len(open_data(tmp_path, ["cog"]).problems) == 1
    assert open_data(tmp_path, ["gear"]).problems == ()


def test_a_mask_that_fits_two_images_is_named_and_not_used(tmp_path):
    masks = mvtec(tmp_path, "000.png", "000.jpg")
    mask(masks / "000_mask.png")
    data = open_data(tmp_path)
    assert [sample.mask for sample in data.samples if sample.defective] == [None, None]
    assert ["cannot tell which mask is meant: 000_mask.png for 2 image(s)" in line for line in data.problems] == [True]


def ellipse(blur: bool = False) -> Image.Image:
    grid = np.mgrid[:200, :200]
    inside = ((grid[0] - 90) / 40) ** 2 + ((grid[1] - 110) / 60) ** 2
    values = np.clip((1.1 - inside) * 8, 0, 1) if blur else inside < 1
    return Image.fromarray((values * 255).astype(np.uint8))


@pytest.mark.parametrize(("suffix", "options"), [(".jpg", {"quality": 70}), (".webp", {"quality": 60})])
def test_lossy_masks_count_where_the_defect_is(tmp_path, suffix, options):
    ellipse().save(tmp_path / "m.png")
    ellipse().save(tmp_path / f"m{suffix}", **options)
    exact, lossy = (read_mask(tmp_path / name, (200, 200)) for name in ("m.png", f"m{suffix}"))
    assert (exact ^ lossy).sum() <= 0.01 * exact.sum()
    black = Image.new("RGB", (200, 200))
    black.putpixel((3, 3), (20, 20, 20))
    black.save(tmp_path / f"black{suffix}", **options)
    assert not read_mask(tmp_path / f"black{suffix}", (200, 200)).any()


def test_soft_masks_count_from_half_of_their_maximum(tmp_path):
    soft = ellipse(blur=True)
    soft.save(tmp_path / "soft.png")
    values = np.asarray(soft)
    assert (read_mask(tmp_path / "soft.png", (200, 200)) == (values >= 127.5)).all()
    Image.fromarray(values // 2).save(tmp_path / "faint.png")
    assert (read_mask(tmp_path / "faint.png", (200, 200)) == (values // 2 >= 63.5)).all()


@pytest.mark.parametrize(
    "values", [(0, 1), (0, 236, 248), (0, 255), (0, 1, 2, 4), (0, 85, 170, 255), (0, 20, 40, 60, 200)]
)
def test_masks_of_labels_are_read_as_they_are_meant(tmp_path, values):
    array = np.zeros((30, 30), dtype=np.uint8)
    for row, value in enumerate(values):
        array[row * 10 : row * 10 + 10] = value
    Image.fromarray(array).save(tmp_path / "m.png")
    assert (read_mask(tmp_path / "m.png", (30, 30)) == (array > 0)).all()


@pytest.mark.parametrize("method", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
@pytest.mark.parametrize("side", [57, 90, 400, 800])
def test_the_edges_of_scaled_masks_are_no_classes(tmp_path, method, side):
    small = np.zeros((40, 40), dtype=np.uint8)
    small[5:20, 8:30] = 255
    scaled = Image.fromarray(small).resize((side, side), method)
    scaled.save(tmp_path / "m.png")
    assert (read_mask(tmp_path / "m.png", (side, side)) == (np.asarray(scaled) >= 127.5)).all()


DEFECT = np.zeros((20, 20), dtype=np.uint8)
DEFECT[3:9, 4:15] = 1


def layers(red: object, green: object, blue: object, opacity: object) -> Image.Image:
    planes = [np.broadcast_to(np.asarray(plane, dtype=np.uint8), DEFECT.shape) for plane in (red, green, blue, opacity)]
    return Image.fromarray(np.dstack(planes))


def palette(colours: dict[int, tuple[int, int, int]], numbers: np.ndarray) -> Image.Image:
    picture = Image.fromarray(numbers).convert("P")
    picture.putpalette([level for number in range(256) for level in colours.get(number, (0, 0, 0))])
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        layers(DEFECT * 255, DEFECT * 255, DEFECT * 255, 255),
        layers(DEFECT * 255, DEFECT * 255, DEFECT * 255, 0),
        layers(255, 255, 255, DEFECT * 255),
        layers(0, 0, 0, DEFECT * 255),
        layers(DEFECT * 255, 0, 0, DEFECT * 128),
        layers(255, 255, 255, DEFECT * 255).convert("LA"),
        palette({1: (128, 0, 0)}, DEFECT),
        palette({1: (64, 0, 0), 2: (224, 224, 192)}, DEFECT + DEFECT * (np.arange(20) > 7)),
        palette({}, DEFECT),
        Image.fromarray(DEFECT.astype(np.float32)),
        Image.fromarray(DEFECT.astype(np.uint16) * 65535),
    ],
)
def test_masks_with_opacity_palettes_and_other_numbers(tmp_path, picture):
    name = tmp_path / ("m.tif" if picture.mode == "F" else "m.png")
    picture.save(name)
    assert (read_mask(name, (20, 20)) == (DEFECT > 0)).all()


def test_inverted_masks_are_noted(tmp_path):
    masks = mvtec(tmp_path, "000.png", "001.png")
    for name in ("000_mask.png", "001_mask.png"):
        path = mask(masks / name)
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    data = open_data(tmp_path)
    notes = [problem.message for problem in check(data) if "inverted" in problem.message]
    assert notes == ["2 of 2 masks cover more than half of their picture; are they inverted (0 on the defect)?"]
    assert inverted_masks(data.samples) == notes[0]


def manifest(folder: Path, text: str, name: str = "list.csv") -> Path:
    for shade, image in enumerate(("good.png", "bad.png", "sub/bad.png")):
        picture(folder / image, shade)
    mask(folder / "sub/mask.png")
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("0.0", "1.0"),
        ("0", "1"),
        ("-1", "1"),
        ("pass", "fail"),
        ("OK", "NG"),
        ("False", "True"),
        ("good", "defect"),
    ],
)
def test_labels_of_manifests(tmp_path, good, bad):
    table = manifest(tmp_path, f"image,label\ngood.png,{good}\nbad.png,{bad}\n")
    assert {sample.image.name: sample.defect for sample in open_data(table).samples} == {
        "good.png": "good",
        "bad.png": "defect",
    }


@pytest.mark.parametrize("label", ["2", "0.5", "nan", "-2.0"])
def test_numbers_that_say_neither_are_refused_with_what_is_known(tmp_path, label):
    table = manifest(tmp_path, f"image,label\ngood.png,0\nbad.png,{label}\n")
    with pytest.raises(
        DataError, match=rf"list.csv:3: label '{label}'; expected good, normal, ok.* for good, defect, ng"
    ):
        open_data(table)


def test_other_column_names_and_windows_paths(tmp_path):
    table = manifest(tmp_path, "image_path,label,mask_path\ngood.png,0,\nsub\\bad.png,1,sub\\mask.png\n")
    assert {(s.image.relative_to(tmp_path).as_posix(), s.mask and s.mask.name) for s in open_data(table).samples} == {
        ("good.png", None),
        ("sub/bad.png", "mask.png"),
    }


def test_a_json_array_as_pandas_writes_it(tmp_path):
    rows = [{"image": "good.png", "label": 0.0}, {"image": "bad.png", "label": 1.0, "mask": None}]
    table = manifest(tmp_path, json.dumps(rows), "list.json")
    assert [sample.defect for sample in open_data(table).samples] == ["defect", "good"]
    table.write_text('{"image": "good.png"}')
    with pytest.raises(DataError, match="holds a dict; expected an array of objects"):
        open_data(table)


def test_json_lines_with_a_mark_at_the_start_and_a_line_separator_inside(tmp_path):
    line = '{"image": "bad.png", "label": "bent\u2028twice"}'
    table = manifest(tmp_path, "\ufeff" + line + "\n", "list.jsonl")
    assert [sample.defect for sample in open_data(table).samples] == ["bent\u2028twice"]


def test_a_manifest_without_good_images_says_what_good_is(tmp_path):
    table = manifest(tmp_path, "image,label\ngood.png,clean\nbad.png,dirty\n")
    (note,) = open_data(table).notes
    assert "no image of list is good; its labels are clean, dirty; good is good, normal, ok" in note


def test_a_row_with_too_many_cells(tmp_path):
    table = manifest(tmp_path, "image,label\ngood.png,0,\nbad.png,1,bent\n")
    with pytest.raises(DataError, match=r"list\.csv:3: a row with more than 2 cells"):
        open_data(table)
