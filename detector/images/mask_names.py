"""How masks are told from photos by their names; `detect` leaves them out, and data sets pair them with images."""

import re
import unicodedata
from collections.abc import Container
from pathlib import Path, PurePath

_MASK_FOLDERS = frozenset({"groundtruth", "groundtruths", "mask", "masks"})
"""Folders that hold masks wherever they are, in lower case without separators."""

_TRUTH_FOLDERS = frozenset({"gt", "gts", "annotation", "annotations", "seg", "segmentation", "segmentations"})
"""Folders that hold masks in a data set; elsewhere only of photos that lie beside them."""

_LABEL_FOLDERS = ("label", "labels", "gt")
"""Folders that hold masks where the files say so too, or where photos lie in `rgb` beside them."""

_WORD = r"(?:masks?|gt|labels?|seg|segmentation|annotation|anno|ground_?truth)"
_MARK = re.compile(rf"(?:(?:[ _.-]+|(?<=\d)){_WORD})+$|^(?:{_WORD}[ _.-]*)+(?=\d)|^(?:image|img)[ _.-]*(?=\d)")
_MARKED = re.compile(rf"[ _.\d-]{_WORD}$|^{_WORD}[ _.-]*\d")


def plain(stem: str) -> str:
    """A stem in one spelling of Unicode, lower case, without the words that mark a mask, or a number as an image's.

    >>> plain("000_Mask"), plain("mask3"), plain("image3"), plain("mask"), plain("gt")
    ('000', '3', '3', 'mask', 'gt')
    """
    folded = _folded(stem)
    return _MARK.sub("", _MARK.sub("", folded)) or folded


def is_marked(stem: str) -> bool:
    """Whether a stem says that the file is a mask.

    >>> [is_marked(stem) for stem in ("000_mask", "000-GT", "000mask", "mask3", "000", "unmasked", "label")]
    [True, True, True, True, False, False, False]
    """
    return bool(_MARKED.search(_folded(stem)))


def is_mask_folder(name: str) -> bool:
    """Whether a folder of a data set holds masks wherever it is, by its name.

    >>> [is_mask_folder(name) for name in ("ground_truth", "Ground Truth", "Mask", "gt", "label", "masked")]
    [True, True, True, True, False, False]
    """
    return _joined(name) in _MASK_FOLDERS | _TRUTH_FOLDERS


def same_name(first: str, second: str) -> bool:
    """Whether two folders have the same name, but for case and the spelling of Unicode."""
    return _folded(first) == _folded(second)


def is_mask(inside: PurePath, folder: Path, stems: Container[str], photos: Container[str] = ()) -> bool:
    """Whether a file found in a folder is a mask and no photo.

    Args:
        inside: path of the file, relative to the folder that was named; what that one is called does not matter.
        folder: that the file lies in.
        stems: plain stems of the unmarked pictures of `folder`; a marked picture beside its photo is its mask.
        photos: plain stems of all pictures that lie in no folder of truth (`in_truth_folder`).
    """
    above = [part.lower() for part in inside.parts[:-1]]
    if any(_joined(part) in _MASK_FOLDERS for part in above):
        return True
    if in_truth_folder(inside) and plain(inside.stem) in photos:
        return True
    if above and above[-1] in _LABEL_FOLDERS and (is_marked(inside.stem) or (folder.parent / "rgb").is_dir()):
        return True
    return is_marked(inside.stem) and plain(inside.stem) in stems


def in_truth_folder(inside: PurePath) -> bool:
    """Whether a file lies in a folder that holds masks or their like, by its name."""
    return any(is_mask_folder(part) for part in inside.parts[:-1])


def _joined(name: str) -> str:
    return re.sub(r"[ _.-]", "", _folded(name))


def _folded(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()
