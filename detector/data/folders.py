"""Data sets that say everything with folder names: the MVTec AD layout and plain good/bad folders."""

from collections.abc import Iterator
from pathlib import Path

from detector.data.sample import GOOD, Sample, Split
from detector.images import SUFFIXES

GOOD_FOLDERS = ("good", "normal", "ok")
"""Names a folder of good images may have; every other folder names a kind of defect."""

MASK_FOLDERS = ("ground_truth", "masks", "mask")


def images_in(folder: Path) -> list[Path]:
    """Image files directly inside `folder`, sorted; hidden files are left out."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def subfolders(folder: Path) -> list[Path]:
    """Folders directly inside `folder`, sorted; hidden ones are left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def is_mvtec_category(folder: Path) -> bool:
    """Whether `folder` holds `test/<defect>` or `train/good`."""
    return any((folder / split).is_dir() and subfolders(folder / split) for split in ("test", "train"))


def is_plain_category(folder: Path) -> bool:
    """Whether `folder` holds good images in a folder of their own."""
    return any(images_in(folder / name) for name in GOOD_FOLDERS)


def read_mvtec(folder: Path) -> Iterator[Sample]:
    """One category: `train/good`, `test/<defect>`, `ground_truth/<defect>/<stem>_mask.png`."""
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        if (folder / split).is_dir():
            yield from _read_kinds(folder, folder / split, split)


def read_plain(folder: Path) -> Iterator[Sample]:
    """One category: `good/`, any other folder a kind of defect, masks in `masks/<defect>/` where there are any."""
    yield from _read_kinds(folder, folder, "test")


def _read_kinds(category: Path, folder: Path, split: Split) -> Iterator[Sample]:
    """Samples of all kinds below `folder`, whose masks lie beside them in `category`."""
    for kind in subfolders(folder):
        if kind.name in MASK_FOLDERS:
            continue
        defect = GOOD if kind.name.lower() in GOOD_FOLDERS else kind.name
        masks = {} if defect == GOOD else _masks(category, kind.name)
        for image in images_in(kind):
            yield Sample(category.resolve().name, split, defect, image, masks.get(image.stem))


def _masks(category: Path, kind: str) -> dict[str, Path]:
    """Masks of one kind of defect by the stem of their image."""
    found = [image for name in MASK_FOLDERS for image in images_in(category / name / kind)]
    return {path.stem.removesuffix("_mask"): path for path in found}
