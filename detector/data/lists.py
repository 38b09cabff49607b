"""Data sets that one JSON file lists: `meta.json` of AnomalyCLIP and FiLo, and Real-IAD."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from detector.data.errors import DataError
from detector.data.folders import Reading, subfolders
from detector.data.sample import GOOD, Sample, Split

META = "meta.json"
USUAL = "realiad_jsons"
"""Folder of the split of Real-IAD that published numbers use, beside those of other splits."""
_SPLITS: dict[str, Split] = {"train": "train", "test": "test"}


def read_json(path: Path) -> Any:
    """The document in a JSON file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: {error}", expected="a readable JSON file") from error


def below(root: Path, name: str) -> Path:
    """A path below `root`, also where it is written with backslashes."""
    path = root / name
    return root / PureWindowsPath(name).as_posix() if "\\" in name and not path.exists() else path


def is_meta(document: Any) -> bool:
    """Whether a document is a `meta.json`: for each split, lists of images by category."""
    splits = document if isinstance(document, dict) else {}
    return bool(splits) and splits.keys() <= _SPLITS.keys() and all(isinstance(each, dict) for each in splits.values())


def read_meta(document: Mapping[str, Any], path: Path) -> Reading:
    """`meta.json`: `img_path`, `mask_path`, `cls_name`, `specie_name` and `anomaly` for each image, below its folder.

    Raises:
        DataError: an entry without what it needs.
    """
    samples = []
    for split, categories in document.items():
        for category, entries in categories.items():
            for number, entry in enumerate(entries, start=1):
                where = f"{path}: {split}.{category}, entry {number}"
                image, defective = _string(entry, "img_path", where), _is_one(entry, where)
                mask = entry.get("mask_path") or ""
                kind = str(entry.get("specie_name") or "defect") if defective else GOOD
                defect = "defect" if defective and kind.lower() == GOOD else kind
                pixels = below(path.parent, mask) if defective and mask else None
                product, photo = str(entry.get("cls_name") or category), below(path.parent, image)
                samples.append(Sample(product, _SPLITS[split], defect, photo, pixels))
    return Reading(tuple(samples))


def _is_one(entry: Any, where: str) -> bool:
    label = entry.get("anomaly") if isinstance(entry, dict) else None
    if label not in (0, 1, "0", "1"):
        raise DataError(f"{where}: anomaly {label!r}", expected="0 or 1")
    return int(label) == 1


def _string(entry: Any, name: str, where: str) -> str:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, str) or not value:
        raise DataError(f"{where}: {name} {value!r}", expected="a path")
    return value


def is_real_iad(document: Any) -> bool:
    """Whether a document is one category of Real-IAD."""
    return isinstance(document, dict) and isinstance(document.get("meta"), dict) and "prefix" in document["meta"]


def real_iad_files(root: Path) -> list[Path]:
    """JSON files of Real-IAD below `root`, at most two folders deep, sorted by name."""
    lists = [path for depth in ("*.json", "*/*.json", "*/*/*.json") for path in root.glob(depth)]
    return sorted(path for path in lists if path.name != META and is_real_iad(_tried(path)))


def one_listing_each(listings: Sequence[Path]) -> list[Path]:
    """One JSON file per product; Real-IAD publishes several splits of each, of which `realiad_jsons` is the usual one.

    Raises:
        DataError: a product with several, none of which is the usual one.
    """
    by_product: dict[str, list[Path]] = defaultdict(list)
    for path in listings:
        by_product[path.stem].append(path)
    usual = []
    for product, paths in by_product.items():
        named = paths if len(paths) == 1 else [path for path in paths if path.parent.name == USUAL]
        if len(named) != 1:
            folders = ", ".join(str(path.parent) for path in paths)
            raise DataError(
                f"{product} is listed in {folders}", expected="one list per product", hint=f"type {paths[0]}"
            )
        usual += named
    return usual


def _tried(path: Path) -> Any:
    try:
        return read_json(path)
    except DataError:
        return None


def read_real_iad(path: Path, root: Path) -> Reading:
    """One category of Real-IAD: `{"meta": {"prefix", "normal_class"}, "train": [...], "test": [...]}`.

    Args:
        path: the JSON file.
        root: of the data set; pictures lie below it or below a folder of it, such as `realiad_1024`.

    Raises:
        DataError: an entry without what it needs.
    """
    document = read_json(path)
    meta = document["meta"]
    prefix, normal = str(meta["prefix"]), str(meta.get("normal_class", "OK"))
    entries = list(_real_iad_entries(document, path))
    base = _base(root, path, [prefix, *(str(PurePosixPath(prefix) / image) for _, _, _, image, _ in entries[:1])])
    samples = []
    for split, category, kind, image, mask in entries:
        defect = GOOD if kind == normal else kind
        pixels = base / prefix / mask if mask and defect != GOOD else None
        samples.append(Sample(category, split, defect, base / prefix / image, pixels))
    return Reading(tuple(samples))


def _real_iad_entries(document: Mapping[str, Any], path: Path) -> Iterator[tuple[Split, str, str, str, str]]:
    for name, split in _SPLITS.items():
        for number, entry in enumerate(document.get(name) or (), start=1):
            where = f"{path}: {name}, entry {number}"
            kind = _string(entry, "anomaly_class", where)
            image = _string(entry, "image_path", where)
            yield split, str(entry.get("category") or path.stem), kind, image, str(entry.get("mask_path") or "")


def _base(root: Path, path: Path, names: list[str]) -> Path:
    """The folder below which the pictures lie: the first that holds one of `names`, the more exact ones first."""
    near = [root, *subfolders(root), path.parent, path.parent.parent, *subfolders(path.parent.parent)]
    return next((folder for name in reversed(names) for folder in near if (folder / name).exists()), root)
