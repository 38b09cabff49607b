"""Data sets that say everything with folder names: the MVTec family, VisA as downloaded, and plain folders."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from detector.data.pairing import pair
from detector.data.sample import GOOD, Sample, Split
from detector.images import SUFFIXES
from detector.mask_names import MASK_FOLDERS, is_marked, plain

GOOD_FOLDERS = ("good", "normal", "ok")
"""Names a folder of good images may have, in any case; every other folder names a kind of defect."""

SPLIT_FOLDERS: dict[str, Split] = {"train": "train", "validation": "train", "test": "test", "test_public": "test"}
"""Folders of the MVTec family that hold labelled images; the good images of `validation` count as training images."""

PRIVATE = "test_private"
"""What the folders of MVTec AD 2 without published truth begin with."""


class Reading(NamedTuple):
    """What a reader found in one category or table."""

    samples: tuple[Sample, ...]
    problems: tuple[str, ...] = ()
    """What would make numbers wrong: one line each, beginning with a path and a colon."""
    notes: tuple[str, ...] = ()
    """What was left out and harms nothing, worded likewise."""


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


def without_masks(images: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The images of a folder, and the masks that lie among them as `000_mask.png` beside `000.png`."""
    named = {plain(path.stem) for path in images if not is_marked(path.stem)}
    masks = [path for path in images if is_marked(path.stem) and plain(path.stem) in named]
    return [path for path in images if path not in masks], masks


def is_mvtec_category(folder: Path) -> bool:
    """Whether `folder` holds `test/<defect>`, `train/good` or the like."""
    return any((folder / split).is_dir() and subfolders(folder / split) for split in SPLIT_FOLDERS)


def is_plain_category(folder: Path) -> bool:
    """Whether `folder` holds good images in a folder of their own."""
    return any(_is_good(kind) and images_in(kind) for kind in subfolders(folder))


def is_visa_category(folder: Path) -> bool:
    """Whether `folder` is a category of VisA as it is downloaded."""
    return any((folder / "Data" / "Images" / name).is_dir() for name in ("Normal", "Anomaly"))


def read_mvtec(folder: Path) -> Reading:
    """One category of MVTec AD, AD 2, LOCO, 3D-AD, BTAD or MPDD: `train/good`, `test/KIND`, `ground_truth/KIND`.

    AD 2 calls the labelled part `test_public` and keeps its masks inside it; LOCO keeps a folder of masks for each
    image; 3D-AD keeps photos and masks in `rgb` and `gt` below each kind.
    """
    parts = []
    for name, split in SPLIT_FOLDERS.items():
        if (folder / name).is_dir():
            parts.append(_read_kinds(folder.resolve().name, folder / name, split, (folder, folder / name)))
    private = [each for each in subfolders(folder) if each.name.startswith(PRIVATE)]
    counts = [(each, sum(len(images_in(one)) for one in (each, *subfolders(each)))) for each in private]
    notes = tuple(f"{each}: {count} image(s) without published truth, left out" for each, count in counts)
    return joined([*parts, Reading((), (), notes)])


def read_plain(folder: Path) -> Reading:
    """One category: `good/` (`normal/`, `ok/`), any other folder a kind of defect.

    Masks lie in `masks/<defect>/`, beside their image, or, as anomalib's `Folder` has them, all together in `mask/`.
    """
    return _read_kinds(folder.resolve().name, folder, "test", (folder,))


def read_visa_folders(folder: Path) -> Reading:
    """One category of VisA as it is downloaded: `Data/Images/Normal`, `Data/Images/Anomaly`, `Data/Masks/Anomaly`."""
    return _read_kinds(folder.resolve().name, folder / "Data" / "Images", "test", (folder / "Data",))


def _read_kinds(category: str, folder: Path, split: Split, homes: Iterable[Path]) -> Reading:
    """Samples of all kinds below `folder`, whose masks are looked for below `homes`."""
    kinds = [kind for kind in subfolders(folder) if kind.name.lower() not in MASK_FOLDERS]
    roots = list(dict.fromkeys(each for home in homes for each in _mask_roots(home)))
    parts: list[Reading] = []
    defective: list[Sample] = []
    for kind in kinds:
        photos, beside = without_masks(images_in(kind / "rgb") or images_in(kind))
        if _is_good(kind):
            parts.append(Reading(tuple(Sample(category, split, GOOD, photo) for photo in photos)))
            continue
        masks = [mask for root in roots for mask in _masks_in(root / kind.name)]
        pairs = pair(photos, [*masks, *_masks_in(kind / "gt"), *beside])
        samples = tuple(Sample(category, split, kind.name, photo, pairs.masks.get(photo)) for photo in photos)
        parts.append(Reading(samples, pairs.problems))
        defective += samples
    if split == "test":
        parts.append(Reading((), tuple(_unknown_kinds(roots, kinds))))
    whole = joined(parts)
    loose = [mask for root in roots for mask in images_in(root)]
    return _with_loose(whole, defective, loose) if loose and split == "test" else whole


def _with_loose(whole: Reading, defective: Sequence[Sample], loose: Sequence[Path]) -> Reading:
    """Masks of all kinds in one folder; those of good images hold no defect and are no mistake."""
    good = {plain(each.image.stem) for each in whole.samples if not each.defective}
    wanted = {plain(each.image.stem) for each in defective}
    masks = [mask for mask in loose if plain(mask.stem) in wanted or plain(mask.stem) not in good]
    pairs = pair([each.image for each in defective if each.mask is None], masks)
    samples = tuple(
        Sample(each.category, each.split, each.defect, each.image, pairs.masks.get(each.image, each.mask))
        for each in whole.samples
    )
    return Reading(samples, (*whole.problems, *pairs.problems), whole.notes)


def _unknown_kinds(roots: Iterable[Path], kinds: Sequence[Path]) -> Iterator[str]:
    known = {kind.name for kind in kinds}
    for folder in (each for root in roots for each in subfolders(root)):
        if folder.name not in known and not _is_good(folder) and (masks := _masks_in(folder)):
            names = ", ".join(sorted(known)) or "none"
            yield f"{folder}: {len(masks)} mask(s) of a kind without images; kinds with images: {names}"


def _mask_roots(home: Path) -> list[Path]:
    return [each for each in subfolders(home) if each.name.lower() in MASK_FOLDERS] if home.is_dir() else []


def _masks_in(folder: Path) -> list[Path]:
    """Mask files of one kind, and the folders that hold the masks of one image each."""
    if not folder.is_dir():
        return []
    return [*images_in(folder), *(each for each in subfolders(folder) if images_in(each))]


def _is_good(folder: Path) -> bool:
    return folder.name.lower() in GOOD_FOLDERS


def joined(parts: Iterable[Reading]) -> Reading:
    """Several readings as one."""
    listed = list(parts)
    return Reading(
        tuple(sample for part in listed for sample in part.samples),
        tuple(line for part in listed for line in part.problems),
        tuple(line for part in listed for line in part.notes),
    )
