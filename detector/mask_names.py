"""How masks are told from photos by their names; `detect` leaves them out, and data sets pair them with images."""

import re
import unicodedata
from collections.abc import Container
from pathlib import Path, PurePath

MASK_FOLDERS = ("ground_truth", "masks", "mask")
"""Folders that hold masks wherever they are, in any case."""

_LABEL_FOLDERS = ("label", "labels", "gt")
"""Folders that hold masks where the files say so too, or where photos lie in `rgb` beside them."""

_WORD = r"(?:masks?|gt|labels?|seg|segmentation|annotation|anno|ground_?truth)"
_MARK = re.compile(rf"(?:[ _.-]+{_WORD})+$|^(?:{_WORD}[ _.-]*)+(?=\d)|^(?:image|img)[ _.-]*(?=\d)")
_MARKED = re.compile(rf"[ _.-]{_WORD}$|^{_WORD}[ _.-]*\d")


def plain(stem: str) -> str:
    """A stem in one spelling of Unicode, lower case, without the words that mark a mask, or a number as an image's.

    >>> plain("000_Mask"), plain("mask3"), plain("image3"), plain("mask"), plain("gt")
    ('000', '3', '3', 'mask', 'gt')
    """
    folded = _folded(stem)
    return _MARK.sub("", _MARK.sub("", folded)) or folded


def is_marked(stem: str) -> bool:
    """Whether a stem says that the file is a mask.

    >>> [is_marked(stem) for stem in ("000_mask", "000-GT", "mask3", "000", "unmasked", "label")]
    [True, True, True, False, False, False]
    """
    return bool(_MARKED.search(_folded(stem)))


def is_mask(inside: PurePath, folder: Path, stems: Container[str]) -> bool:
    """Whether a file found in a folder is a mask and no photo.

    Args:
        inside: path of the file, relative to the folder that was named; what that one is called does not matter.
        folder: that the file lies in.
        stems: plain stems of the unmarked pictures of `folder`; a marked picture beside its photo is its mask.
    """
    above = [part.lower() for part in inside.parts[:-1]]
    if any(part in MASK_FOLDERS for part in above):
        return True
    if above and above[-1] in _LABEL_FOLDERS and (is_marked(inside.stem) or (folder.parent / "rgb").is_dir()):
        return True
    return is_marked(inside.stem) and plain(inside.stem) in stems


def _folded(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()
