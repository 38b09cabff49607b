"""Opens a data set whatever its layout; nothing is ever written into it."""

from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path

from descriptions.common.errors import nearest
from detector.data.beside import is_dagm_category, is_kolektor_category, read_dagm, read_kolektor
from detector.data.errors import DataError
from detector.data.folders import (
    Reading,
    images_in,
    is_mvtec_category,
    is_plain_category,
    is_visa_category,
    joined,
    masks_of_no_category,
    read_mvtec,
    read_plain,
    read_visa_folders,
    subfolders,
)
from detector.data.lists import (
    META,
    is_meta,
    is_real_iad,
    one_listing_each,
    read_json,
    read_meta,
    read_real_iad,
    real_iad_files,
)
from detector.data.sample import DataSet, Layout, Sample
from detector.data.tables import MANIFEST_SUFFIXES, VISA_SPLIT, read_manifest, read_visa
from detector.images.mask_names import is_mask_folder, same_name

LAYOUTS = """\
ROOT/[category/]train/good + test/<defect> + ground_truth/<defect>/<stem>_mask.png (MVTec AD and its family), \
ROOT/split_csv/1cls.csv (VisA), ROOT/[category/]good + any other folder (plain), a .csv, .jsonl or .json manifest, \
or another layout of docs/how-to/custom-data.md"""

_FOLDER_LAYOUTS: tuple[tuple[Layout, Callable[[Path], bool], Callable[[Path], Reading]], ...] = (
    ("dagm", is_dagm_category, read_dagm),
    ("mvtec", is_mvtec_category, read_mvtec),
    ("kolektor", is_kolektor_category, read_kolektor),
    ("visa", is_visa_category, read_visa_folders),
    ("folder", is_plain_category, read_plain),
)
_MOST_SHOWN = 4
"""Folders that a refusal names."""
_MOST_TRIED = 20
"""Folders that a refusal looks into."""


def open_data(root: str | Path, categories: Iterable[str] = ()) -> DataSet:
    """Find out the layout of `root` and list its samples; no image is opened.

    Args:
        root: data set, one category of it, or a manifest file.
        categories: only these; none means all.

    Returns:
        Samples sorted by category, split, defect and name. Files that a table lists but that are missing are
        left out and named in `problems`.

    Raises:
        DataError: no such path, no known layout, no image, or an unknown category (with the nearest match).
    """
    root = Path(root)
    layout, contents = _read(root)
    present = [sample for sample in contents.samples if sample.image.is_file()]
    problems = [*contents.problems]
    problems += [f"{sample.image}: listed but missing" for sample in contents.samples if not sample.image.is_file()]
    present = [_without_missing_mask(sample, problems) for sample in present]
    if not present:
        raise DataError(f"{root} holds no images", expected=LAYOUTS, hint=problems[0] if problems else "")
    data = DataSet(root, layout, tuple(sorted(present, key=_order)), tuple(problems), contents.notes)
    return _only(data, tuple(categories))


def _order(sample: Sample) -> tuple[str, str, str, str]:
    return (sample.category, sample.split, sample.defect, str(sample.image))


def _read(root: Path) -> tuple[Layout, Reading]:
    if root.is_file():
        return _read_file(root)
    if not root.is_dir():
        siblings = [path.name for path in subfolders(root.parent)] if root.parent.is_dir() else []
        raise DataError(f"no data set at {root}", expected=LAYOUTS, hint=nearest(root.name, siblings))
    if (root / VISA_SPLIT).is_file():
        return "visa", read_visa(root / VISA_SPLIT, root)
    for layout, matches, read in _FOLDER_LAYOUTS:
        folders = [root] if matches(root) else [folder for folder in _product_folders(root) if matches(folder)]
        if folders:
            lines = () if folders == [root] else tuple(masks_of_no_category(root, folders))
            return layout, joined([*(read(folder) for folder in folders), Reading((), lines)])
    if (root / META).is_file() and is_meta(document := read_json(root / META)):
        return "meta", read_meta(document, root / META)
    if listings := real_iad_files(root):
        return "real-iad", joined(read_real_iad(path, root) for path in one_listing_each(listings))
    raise DataError(
        f"{root} has no layout that can be read", expected=LAYOUTS, hint=f"it holds {_seen(root)}{_deeper(root)}"
    )


def _deeper(root: Path) -> str:
    """The folder that was probably meant, one or two folders deeper."""
    near = [*subfolders(root), *(each for folder in subfolders(root)[:_MOST_SHOWN] for each in subfolders(folder))]
    for folder in near[:_MOST_TRIED]:
        known = (folder / VISA_SPLIT).is_file() or any(
            matches(each) for _, matches, _ in _FOLDER_LAYOUTS for each in subfolders(folder)
        )
        if known:
            return f"; type {folder}"
    return ""


def _product_folders(root: Path) -> list[Path]:
    return [folder for folder in subfolders(root) if not is_mask_folder(folder.name)]


def _read_file(root: Path) -> tuple[Layout, Reading]:
    if root.suffix.lower() not in MANIFEST_SUFFIXES:
        raise DataError(f"{root} is a file", expected="a folder, or a .csv, .jsonl or .json manifest")
    if root.parent.name == VISA_SPLIT.parent.name:
        return "visa", read_visa(root, root.parents[1])
    if root.suffix.lower() == ".json":
        document = read_json(root)
        if is_meta(document):
            return "meta", read_meta(document, root)
        if is_real_iad(document):
            return "real-iad", read_real_iad(root, root.parent)
    return "manifest", read_manifest(root)


def _seen(root: Path) -> str:
    """What lies one and two folders deeper, so that a person sees which folder was meant."""
    parts = [_count(root)] if images_in(root) else []
    for folder in subfolders(root)[:_MOST_SHOWN]:
        inner = ", ".join(f"{each.name}/ ({_count(each)})" for each in subfolders(folder)[:_MOST_SHOWN])
        parts.append(f"{folder.name}/ ({_count(folder)})" if not inner else f"{folder.name}/ with {inner}")
    more = len(subfolders(root)) - _MOST_SHOWN
    if more > 0:
        parts.append(f"{more} more folders")
    return ", ".join(parts) or "nothing"


def _count(folder: Path) -> str:
    pictures, folders = len(images_in(folder)), len(subfolders(folder))
    return f"{pictures} pictures" if pictures or not folders else f"{folders} folders"


def _without_missing_mask(sample: Sample, problems: list[str]) -> Sample:
    if sample.mask is None or sample.mask.exists():
        return sample
    problems.append(f"{sample.mask}: listed but missing")
    return Sample(sample.category, sample.split, sample.defect, sample.image)


def _only(data: DataSet, named: tuple[str, ...]) -> DataSet:
    wanted: list[str] = []
    for name in named:
        same = [name] if name in data.categories else [each for each in data.categories if same_name(each, name)]
        wanted += same
        if not same:
            known = ", ".join(data.categories)
            raise DataError(
                f"{data.root} has no category {name!r}", expected=known, hint=nearest(name, list(data.categories))
            )
    if not wanted:
        return data
    samples: Iterator[Sample] = (sample for sample in data.samples if sample.category in wanted)
    others = set(data.categories) - set(wanted)
    problems, notes = (
        tuple(line for line in lines if not _is_about(line, data.root, others, wanted))
        for lines in (data.problems, data.notes)
    )
    return DataSet(data.root, data.layout, tuple(samples), problems, notes)


def _is_about(line: str, root: Path, others: Container[str], wanted: Container[str]) -> bool:
    """Whether a line begins with a path in the folder of another category than those that are wanted."""
    path = Path(line.partition(": ")[0])
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    return any(part in others for part in parts) and not any(part in wanted for part in parts)
