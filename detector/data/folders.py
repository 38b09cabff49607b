"""Data sets that say everything with folder names: the MVTec family, VisA as downloaded, and plain folders."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from detector.data.pairing import orphan_lines, pair
from detector.data.sample import GOOD, Sample, Split
from detector.images.load import SUFFIXES
from detector.images.mask_names import is_marked, is_mask_folder, plain, same_name

GOOD_FOLDERS = ("good", "normal", "ok")
"""Names a folder of good images may have, in any case, also with a split such as in `normal_test`; every other folder
names a kind of defect."""

_SPLIT_WORDS = ("train", "test", "val", "validation")

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


def named_folder(folder: Path, name: str) -> Path | None:
    """The folder directly inside `folder` with a name, in whatever case and spelling of Unicode; None without one."""
    if not folder.is_dir():
        return None
    same = [each for each in subfolders(folder) if same_name(each.name, name)]
    return next((each for each in same if each.name == name), same[0] if same else None)


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
    places = [(folder / name, split) for name, split in SPLIT_FOLDERS.items() if (folder / name).is_dir()]
    private = [each for each in subfolders(folder) if each.name.startswith(PRIVATE)]
    counts = [(each, sum(len(images_in(one)) for one in (each, *subfolders(each)))) for each in private]
    notes = tuple(f"{each}: {count} image(s) without published truth, left out" for each, count in counts)
    return joined([_read_category(folder, places, folder), Reading((), (), notes)])


def read_plain(folder: Path) -> Reading:
    """One category: `good/` (`normal/`, `ok/`), any other folder a kind of defect.

    Masks lie in `masks/<defect>/`, beside their image, or, as anomalib's `Folder` has them, all together in `mask/`.
    """
    return _read_category(folder, [(folder, "test")], folder)


def read_visa_folders(folder: Path) -> Reading:
    """One category of VisA as it is downloaded: `Data/Images/Normal`, `Data/Images/Anomaly`, `Data/Masks/Anomaly`."""
    return _read_category(folder, [(folder / "Data" / "Images", "test")], folder / "Data")


class _Kind(NamedTuple):
    """One folder of images, and what was found for it."""

    samples: tuple[Sample, ...]
    problems: tuple[str, ...]
    orphans: tuple[Path, ...]
    """Masks that none of these images has; images of another split may have them."""


def _read_category(folder: Path, places: Sequence[tuple[Path, Split]], home: Path) -> Reading:
    """Samples of all kinds in `places`, whose masks lie below `home`, inside the place, or beside the category.

    Args:
        folder: of the category.
        places: folders of kinds.
        home: folder that holds the folders of masks.
    """
    category = folder.resolve().name
    roots = [*_mask_roots(home), *_mask_roots_beside(folder)]
    read: dict[Path, _Kind] = {}
    for place, split in places:
        own = [each for each in _mask_roots(place) if each not in roots]
        for kind in (each for each in subfolders(place) if not is_mask_folder(each.name)):
            read[kind] = _read_kind(
                Sample(category, split, GOOD if _is_good(kind) else kind.name, kind), [*roots, *own]
            )
        roots += own
    samples, shared = _without_shared_masks([sample for each in read.values() for sample in each.samples])
    samples, orphans = _with_loose(samples, [mask for root in roots for mask in images_in(root)])
    used = {sample.mask for sample in samples}
    lines = [line for each in read.values() for line in each.problems] + shared + orphans
    claimed: set[Path] = set()
    for each in read.values():
        left = [path for path in each.orphans if path not in used and path not in claimed]
        claimed.update(left)
        lines += orphan_lines(left, [sample.image for sample in each.samples])
    lines += _unknown_kinds(roots, list(read))
    return Reading(tuple(samples), tuple(dict.fromkeys(lines)), tuple(_unread(read)))


def _read_kind(like: Sample, roots: Iterable[Path]) -> _Kind:
    """Samples of one folder.

    Args:
        like: what is known about each of them, with the folder in place of the image.
        roots: folders that hold a folder of masks for each kind.
    """
    folder = like.image
    photos, beside = without_masks(images_in(folder / "rgb") or images_in(folder))
    if not like.defective:
        return _Kind(tuple(replace(like, image=photo) for photo in photos), (), ())
    masks = [mask for root in roots for mask in _masks_in(named_folder(root, folder.name))]
    pairs = pair(photos, [*masks, *_masks_in(folder / "gt"), *beside])
    samples = tuple(replace(like, image=photo, mask=pairs.masks.get(photo)) for photo in photos)
    return _Kind(samples, pairs.problems, pairs.orphans)


def _without_shared_masks(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """A mask that images of two splits would share is taken from both, and named."""
    images: dict[Path, list[Path]] = defaultdict(list)
    for sample in samples:
        if sample.mask is not None:
            images[sample.mask].append(sample.image)
    shared = {mask: some for mask, some in images.items() if len(some) > 1}
    lines = [f"{mask}: cannot tell which image is meant: {some[0]} or {some[1]}" for mask, some in shared.items()]
    return [replace(each, mask=None) if each.mask in shared else each for each in samples], lines


def _with_loose(samples: list[Sample], loose: Sequence[Path]) -> tuple[list[Sample], list[str]]:
    """Masks of all kinds in one folder; those of good images hold no defect and are no mistake."""
    if not loose:
        return samples, []
    good = {plain(each.image.stem) for each in samples if not each.defective}
    wanted = [each.image for each in samples if each.defective and each.mask is None]
    stems = {plain(each.image.stem) for each in samples if each.defective}
    masks = [mask for mask in loose if plain(mask.stem) in stems or plain(mask.stem) not in good]
    pairs = pair(wanted, masks)
    paired = [replace(each, mask=pairs.masks.get(each.image, each.mask)) for each in samples]
    return paired, [*pairs.problems, *orphan_lines(pairs.orphans, wanted)]


def _unknown_kinds(roots: Iterable[Path], kinds: Sequence[Path]) -> Iterator[str]:
    names = ", ".join(sorted({kind.name for kind in kinds})) or "none"
    for folder in (each for root in roots for each in subfolders(root)):
        known = _is_good(folder) or any(same_name(folder.name, kind.name) for kind in kinds)
        if not known and (masks := _masks_in(folder)):
            yield f"{folder}: {len(masks)} mask(s) of a kind without images; kinds with images: {names}"


def _unread(read: Mapping[Path, _Kind]) -> Iterator[str]:
    """Folders without images that hold folders with images."""
    for kind, contents in read.items():
        if not contents.samples and (deeper := [each for each in subfolders(kind) if images_in(each)]):
            yield f"{kind}: pictures in {deeper[0].name}/ below it are not read"


def masks_of_no_category(root: Path, categories: Sequence[Path]) -> Iterator[str]:
    """What is wrong with masks that lie beside the categories of `root`: one line per folder of them."""
    names = ", ".join(each.name for each in categories)
    for masks in _mask_roots(root):
        if images_in(masks):
            yield f"{masks}: {len(images_in(masks))} mask(s) belong to no category; there are {names}"
        for folder in subfolders(masks):
            if not any(same_name(folder.name, each.name) for each in categories):
                yield f"{folder}: a folder of masks of no category; there are {names}"


def _mask_roots(home: Path) -> list[Path]:
    return [each for each in subfolders(home) if is_mask_folder(each.name)] if home.is_dir() else []


def _mask_roots_beside(folder: Path) -> list[Path]:
    """Such as `masks/gear` beside `gear`."""
    whole = folder if folder.name not in ("", "..") else folder.resolve()
    beside = [named_folder(root, whole.name) for root in _mask_roots(whole.parent)]
    return [each for each in beside if each is not None]


def _masks_in(folder: Path | None) -> list[Path]:
    """Mask files of one kind, and the folders that hold the masks of one image each."""
    if folder is None or not folder.is_dir():
        return []
    return [*images_in(folder), *(each for each in subfolders(folder) if images_in(each))]


def _is_good(folder: Path) -> bool:
    first, *rest = re.split(r"[ _-]", folder.name.lower())
    return first in GOOD_FOLDERS and all(word in _SPLIT_WORDS for word in rest)


def joined(parts: Iterable[Reading]) -> Reading:
    """Several readings as one."""
    listed = list(parts)
    return Reading(
        tuple(sample for part in listed for sample in part.samples),
        tuple(line for part in listed for line in part.problems),
        tuple(line for part in listed for line in part.notes),
    )
