"""Which mask belongs to which image, by their names; what belongs to nothing is said, never guessed."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from detector.images.mask_names import plain


class Pairs(NamedTuple):
    """Masks by image, and what is wrong with the rest."""

    masks: dict[Path, Path]
    """A mask, or a folder of masks, for each image that has one."""
    problems: tuple[str, ...]
    """Images and masks that fit several ways: one line each, beginning with a path and a colon."""
    orphans: tuple[Path, ...]
    """Masks that belong to none of the images; `orphan_lines` says so."""


def pair(images: Sequence[Path], masks: Iterable[Path]) -> Pairs:
    """Find the mask of each image.

    An equal file name decides first, then an equal stem, then the stem less what marks masks and images; among several
    of one name, the suffix or the spelling of Unicode. A mask that fits two images, or an image that two masks fit
    equally well, is left alone and named.

    Args:
        images: all images of one kind of defect.
        masks: files, or folders of masks named like their image.
    """
    left = list(dict.fromkeys(masks))
    waiting = list(images)
    paired: dict[Path, Path] = {}
    problems: list[str] = []
    for key in (_file_name, _stem, _plain_stem):
        by_image, by_mask = _grouped(waiting, key), _grouped(left, key)
        for name in sorted(by_image.keys() & by_mask.keys()):
            some, fitting = by_image[name], by_mask[name]
            if one_each := _one_each(some, fitting):
                paired |= one_each
            else:
                listed = ", ".join(path.name for path in fitting)
                problems.append(f"{some[0]}: cannot tell which mask is meant: {listed} for {len(some)} image(s)")
            waiting = [path for path in waiting if path not in some]
            left = [path for path in left if path not in fitting]
    return Pairs(paired, tuple(problems), tuple(left))


def _one_each(images: Sequence[Path], masks: Sequence[Path]) -> dict[Path, Path]:
    """The mask of each of some images with the same name, where that is certain; otherwise nothing."""
    if len(images) == len(masks) == 1:
        return {images[0]: masks[0]}
    for difference in (_suffix, _spelling):
        by_image, by_mask = _grouped(images, difference), _grouped(masks, difference)
        if by_image.keys() == by_mask.keys() and len(by_image) == len(images) == len(masks):
            return {some[0]: by_mask[key][0] for key, some in by_image.items()}
    return {}


def orphan_lines(orphans: Iterable[Path], images: Sequence[Path]) -> list[str]:
    """One line per folder of masks that belong to none of `images`, each beginning with a path and a colon."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in orphans:
        by_folder[path.parent].append(path)
    like = f"images here are named like {images[0].name}" if images else "there is no image of this kind"
    return [
        f"{folder}: {len(some)} mask(s) belong to no image, such as {some[0].name}; {like}"
        for folder, some in sorted(by_folder.items())
    ]


def _grouped(paths: Iterable[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return groups


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _spelling(path: Path) -> str:
    return "NFC" if unicodedata.is_normalized("NFC", path.name) else "other"


def _file_name(path: Path) -> str:
    return unicodedata.normalize("NFC", path.name)


def _stem(path: Path) -> str:
    stem = path.name if path.is_dir() else path.stem
    return unicodedata.normalize("NFC", stem).removesuffix("_mask")


def _plain_stem(path: Path) -> str:
    return plain(path.name if path.is_dir() else path.stem)
