"""Which photos are meant by what was typed: files, folders, globs and lists.

DetectorError
+-- NoImagesError       paths under which there is nothing to look at
"""

import glob
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from detector.errors import DetectorError
from detector.images.load import BROKEN, SUFFIXES
from detector.images.mask_names import in_truth_folder, is_marked, is_mask, plain


class NoImagesError(DetectorError):
    """Paths under which there is nothing to look at."""


class Listing(NamedTuple):
    """Photos, and the masks that lay among them."""

    photos: list[Path]
    """Each once, in the order they were named; those of a folder sorted."""
    masks: list[Path]
    """Left out: ground truth is no photo."""

    def left_out(self) -> str:
        """One line on what was left out and why; empty where nothing was."""
        if not self.masks:
            return ""
        folders = sorted({str(mask.parent) for mask in self.masks})
        more = f" and {len(folders) - 1} more folders" if len(folders) > 1 else ""
        return f"left out {len(self.masks)} file(s) that are masks, not photos, in {folders[0]}{more}"


def find_images(paths: Iterable[str], listing: Iterable[str] = sys.stdin, skip: Path | None = None) -> Listing:
    """Photos named by files, folders (searched whole, without hidden files and masks), globs, or `-` (one per line).

    A file that is named but missing stays in the list, so that it is reported with the other bad ones.

    Args:
        paths: what was typed.
        listing: lines that `-` stands for.
        skip: folder of our own pictures, which folders and globs leave out.

    Raises:
        NoImagesError: a folder or glob without images, or no path at all.
    """
    photos: dict[Path, None] = {}
    masks: dict[Path, None] = {}
    for path in paths:
        part = Listing(_from_list(listing), []) if path == "-" else _expand(path, skip)
        photos.update(dict.fromkeys(part.photos))
        masks.update(dict.fromkeys(part.masks))
    if not photos:
        raise NoImagesError("no images named", expected="files, folders, globs, or - for a list on standard input")
    return Listing(list(photos), [mask for mask in masks if mask not in photos])


def _from_list(listing: Iterable[str]) -> list[Path]:
    names = (line.lstrip("\ufeff").strip() for line in listing)
    return [Path(name) for name in names if name]


def _expand(path: str, skip: Path | None) -> Listing:
    place = Path(path)
    if place.is_dir():
        return _in_folder(place, skip)
    if place.exists() or not glob.has_magic(path):
        return Listing([place], [])
    names = glob.glob(path, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns
    matches = sorted(_not_ours(map(Path, names), skip))
    if not matches:
        raise NoImagesError(f"nothing matches {path}", hint="quote the pattern, or name a folder")
    below = {file for match in matches if match.is_dir() for file in _pictures(match, skip)}
    files = sorted(below.union(match for match in matches if not match.is_dir()))
    listing = _without_masks(files, _fixed_part(path))
    if not listing.photos:
        raise NoImagesError(f"{path} matches no photos", hint="name a folder of photos, or one mask by its full name")
    return listing


def _pictures(folder: Path, skip: Path | None) -> list[Path]:
    seen = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(file for file in _not_ours(seen, skip) if not _is_hidden(file.relative_to(folder)))


def _in_folder(folder: Path, skip: Path | None) -> Listing:
    listing = _without_masks(_pictures(folder, skip), folder)
    if not listing.photos:
        only = f" but {len(listing.masks)} masks" if listing.masks else ""
        raise NoImagesError(f"no images in {folder}{only}", expected=f"files such as {', '.join(sorted(SUFFIXES)[:4])}")
    return listing


def _without_masks(files: list[Path], root: Path) -> Listing:
    stems: dict[Path, set[str]] = defaultdict(set)
    for file in files:
        if not is_marked(file.stem):
            stems[file.parent].add(plain(file.stem))
    photos = {plain(file.stem) for file in files if not in_truth_folder(_inside(file, root))}
    masks = {file for file in files if is_mask(_inside(file, root), file.parent, stems[file.parent], photos)}
    masks |= _grey_twins(files)
    return Listing([file for file in files if file not in masks], [file for file in files if file in masks])


def _grey_twins(files: list[Path]) -> set[Path]:
    """Masks as Real-IAD keeps them: `0001.png` of one channel beside the photo `0001.jpg`."""
    jpegs = {file.with_suffix(""): file for file in files if file.suffix.lower() in (".jpg", ".jpeg")}
    twins = [file for file in files if file.suffix.lower() == ".png" and file.with_suffix("") in jpegs]
    return {twin for twin in twins if _mode(twin) in ("1", "L", "P") and _mode(jpegs[twin.with_suffix("")]) == "RGB"}


def _mode(file: Path) -> str:
    """The kind of pixels that a file's header declares; empty where it cannot be read."""
    try:
        with Image.open(file) as picture:
            return picture.mode
    except BROKEN:
        return ""


def _inside(file: Path, root: Path) -> Path:
    return file.relative_to(root) if file.is_relative_to(root) else Path(file.name)


def _fixed_part(pattern: str) -> Path:
    """The folder that a pattern names before its first wildcard."""
    fixed = []
    for part in Path(pattern).parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)


def _not_ours(files: Iterable[Path], skip: Path | None) -> Iterator[Path]:
    ours = skip.resolve() if skip is not None and skip.is_dir() else None
    return (file for file in files if ours is None or not file.resolve().is_relative_to(ours))


def _is_hidden(inside: Path) -> bool:
    """Such as `._a.jpg`, which macOS leaves beside `a.jpg` and which is no picture."""
    return any(part.startswith(".") for part in inside.parts)
