"""Data sets whose masks lie beside the images and decide the label: DAGM 2007 and KolektorSDD2."""

from pathlib import Path

from detector.data.folders import Reading, images_in, without_masks
from detector.data.masks import read_mask
from detector.data.pairing import pair
from detector.data.sample import GOOD, Sample, Split
from detector.images import ImageError, image_size

DEFECT = "defect"
"""The one kind of defect of these data sets, which do not name kinds."""


def is_dagm_category(folder: Path) -> bool:
    """Whether `folder` holds `Train/Label` or `Test/Label`."""
    return any((folder / split / "Label").is_dir() for split in ("Train", "Test"))


def read_dagm(folder: Path) -> Reading:
    """One class of DAGM 2007: `Train|Test/0001.PNG`, and `Label/0001_label.PNG` for defective images only."""
    samples: list[Sample] = []
    problems: list[str] = []
    splits: dict[str, Split] = {"Train": "train", "Test": "test"}
    for name, split in splits.items():
        photos = images_in(folder / name)
        pairs = pair(photos, images_in(folder / name / "Label"))
        problems += pairs.problems
        for photo in photos:
            mask = pairs.masks.get(photo)
            samples.append(Sample(folder.resolve().name, split, DEFECT if mask else GOOD, photo, mask))
    return Reading(tuple(samples), tuple(problems))


def is_kolektor_category(folder: Path) -> bool:
    """Whether `train` or `test` holds images with masks such as `10000_GT.png` beside them, and no folders of kinds."""
    return any(without_masks(images_in(folder / split))[1] for split in ("train", "test"))


def read_kolektor(folder: Path) -> Reading:
    """KolektorSDD2: `train|test/10000.png` with `10000_GT.png`, which is black where the surface is good."""
    samples: list[Sample] = []
    problems: list[str] = []
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        photos, masks = without_masks(images_in(folder / split))
        pairs = pair(photos, masks)
        problems += pairs.problems
        for photo in photos:
            mask = pairs.masks.get(photo)
            defective = mask is not None and _shows_a_defect(mask)
            samples.append(
                Sample(folder.resolve().name, split, DEFECT if defective else GOOD, photo, mask if defective else None)
            )
    return Reading(tuple(samples), tuple(problems))


def _shows_a_defect(mask: Path) -> bool:
    try:
        return bool(read_mask(mask, image_size(mask)).any())
    except ImageError:
        return True  # whoever scores it says what is wrong with the mask
