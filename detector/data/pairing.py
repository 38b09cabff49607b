"""Which mask belongs to which image, by their names; what belongs to nothing is said, never guessed."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from detector.mask_names import plain


class Pairs(NamedTuple):
    """Masks by image, and what is wrong with the rest."""

    masks: dict[Path, Path]
    """A mask, or a folder of masks, for each image that has one."""
    problems: tuple[str, ...]
    """One line per folder or image, each beginning with a path and a colon."""


def pair(images: Sequence[Path], masks: Iterable[Path]) -> Pairs:
    """Find the mask of each image.

    An equal file name decides first, then an equal stem, then the stem less what marks masks and images. A mask that
    fits two images, or an image that two masks fit equally well, is left alone and named.

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
            if len(some) == len(fitting) == 1:
                paired[some[0]] = fitting[0]
            else:
                listed = ", ".join(path.name for path in fitting)
                problems.append(f"{some[0]}: cannot tell which mask is meant: {listed} for {len(some)} image(s)")
            waiting = [path for path in waiting if path not in some]
            left = [path for path in left if path not in fitting]
    return Pairs(paired, (*problems, *_orphans(left, images)))


def _orphans(left: Sequence[Path], images: Sequence[Path]) -> list[str]:
    """One line per folder of masks that belong to no image."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in left:
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


def _file_name(path: Path) -> str:
    return unicodedata.normalize("NFC", path.name)


def _stem(path: Path) -> str:
    stem = path.name if path.is_dir() else path.stem
    return unicodedata.normalize("NFC", stem).removesuffix("_mask")


def _plain_stem(path: Path) -> str:
    return plain(path.name if path.is_dir() else path.stem)
