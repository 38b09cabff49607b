"""Opens a data set whatever its layout; nothing is ever written into it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from descriptions.errors import nearest
from detector.data.errors import DataError
from detector.data.folders import is_mvtec_category, is_plain_category, read_mvtec, read_plain, subfolders
from detector.data.sample import DataSet, Layout, Sample
from detector.data.tables import MANIFEST_SUFFIXES, VISA_SPLIT, read_manifest, read_visa

LAYOUTS = """\
ROOT/[category/]train/good + test/<defect> + ground_truth/<defect>/<stem>_mask.png (MVTec AD), \
ROOT/split_csv/1cls.csv (VisA), ROOT/[category/]good + any other folder (plain), or a .csv/.jsonl manifest"""


_FOLDER_LAYOUTS: tuple[tuple[Layout, Callable[[Path], bool], Callable[[Path], Iterator[Sample]]], ...] = (
    ("mvtec", is_mvtec_category, read_mvtec),
    ("folder", is_plain_category, read_plain),
)


def open_data(root: Path, categories: Iterable[str] = ()) -> DataSet:
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
    layout, samples = _read(root)
    present = [sample for sample in samples if sample.image.is_file()]
    problems = [f"{sample.image}: listed but missing" for sample in samples if not sample.image.is_file()]
    present = [_without_missing_mask(sample, problems) for sample in present]
    if not present:
        raise DataError(f"{root} holds no images", expected=LAYOUTS, hint=problems[0] if problems else "")
    data = DataSet(root, layout, tuple(sorted(present, key=_order)), tuple(problems))
    return _only(data, tuple(categories))


def _order(sample: Sample) -> tuple[str, str, str, str]:
    return (sample.category, sample.split, sample.defect, str(sample.image))


def _read(root: Path) -> tuple[Layout, list[Sample]]:
    if root.is_file():
        if root.suffix.lower() not in MANIFEST_SUFFIXES:
            raise DataError(f"{root} is a file", expected="a folder, or a .csv or .jsonl manifest")
        is_visa = root.parent.name == VISA_SPLIT.parent.name
        return ("visa", list(read_visa(root, root.parents[1]))) if is_visa else ("manifest", list(read_manifest(root)))
    if not root.is_dir():
        siblings = [path.name for path in subfolders(root.parent)] if root.parent.is_dir() else []
        raise DataError(f"no data set at {root}", expected=LAYOUTS, hint=nearest(root.name, siblings))
    if (root / VISA_SPLIT).is_file():
        return "visa", list(read_visa(root / VISA_SPLIT, root))
    for layout, matches, read in _FOLDER_LAYOUTS:
        folders = [root] if matches(root) else [folder for folder in subfolders(root) if matches(folder)]
        if folders:
            return layout, [sample for folder in folders for sample in read(folder)]
    raise DataError(f"{root} has no layout that can be read", expected=LAYOUTS)


def _without_missing_mask(sample: Sample, problems: list[str]) -> Sample:
    if sample.mask is None or sample.mask.is_file():
        return sample
    problems.append(f"{sample.mask}: listed but missing")
    return Sample(sample.category, sample.split, sample.defect, sample.image)


def _only(data: DataSet, wanted: tuple[str, ...]) -> DataSet:
    for name in wanted:
        if name not in data.categories:
            known = ", ".join(data.categories)
            raise DataError(
                f"{data.root} has no category {name!r}", expected=known, hint=nearest(name, list(data.categories))
            )
    if not wanted:
        return data
    kept: Iterator[Sample] = (sample for sample in data.samples if sample.category in wanted)
    return DataSet(data.root, data.layout, tuple(kept), data.problems)
