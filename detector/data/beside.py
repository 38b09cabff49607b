"""Data sets whose masks lie beside the images and decide the label: DAGM 2007 and KolektorSDD2."""

from pathlib import Path

from detector.data.folders import Reading, images_in, named_folder, without_masks
from detector.data.masks import read_mask
from detector.data.pairing import orphan_lines, pair
from detector.data.sample import GOOD, Sample, Split
from detector.images.load import ImageError, image_size

DEFECT = "defect"
"""The one kind of defect of these data sets, which do not name kinds."""

_SPLITS: tuple[Split, ...] = ("train", "test")


def is_dagm_category(folder: Path) -> bool:
    """Whether `folder` holds `Train/Label` or `Test/Label`, with images in `Train` or `Test` themselves."""
    return any(images_in(place) and named_folder(place, "Label") for place in _places(folder).values())


def _places(folder: Path) -> dict[Split, Path]:
    """Folders of the splits, in whatever case."""
    tried = {split: named_folder(folder, split) for split in _SPLITS}
    return {split: place for split, place in tried.items() if place is not None}


def read_dagm(folder: Path) -> Reading:
    """One class of DAGM 2007: `Train|Test/0001.PNG`, and `Label/0001_label.PNG` for defective images only."""
    samples: list[Sample] = []
    problems: list[str] = []
    for split, place in _places(folder).items():
        photos = images_in(place)
        labels = named_folder(place, "Label")
        pairs = pair(photos, images_in(labels) if labels else [])
        problems += [*pairs.problems, *orphan_lines(pairs.orphans, photos)]
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
    for split in _SPLITS:
        photos, masks = without_masks(images_in(folder / split))
        pairs = pair(photos, masks)
        problems += [*pairs.problems, *orphan_lines(pairs.orphans, photos)]
        if unknown := [photo for photo in photos if photo not in pairs.masks]:
            many = f"{len(unknown)} image(s) without a mask, such as {unknown[0].name}"
            problems.append(f"{unknown[0].parent}: {many}; left out, since masks say here what is good")
        for photo, mask in pairs.masks.items():
            truth = (DEFECT, mask) if _shows_a_defect(mask) else (GOOD, None)
            samples.append(Sample(folder.resolve().name, split, truth[0], photo, truth[1]))
    return Reading(tuple(samples), tuple(problems))


def _shows_a_defect(mask: Path) -> bool:
    try:
        return bool(read_mask(mask, image_size(mask)).any())
    except ImageError:
        return True  # whoever scores it says what is wrong with the mask
