"""Data sets that a table describes: VisA's split CSV, and manifests in CSV, JSON lines or JSON."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from detector.data.errors import DataError
from detector.data.folders import Reading
from detector.data.lists import below, read_json
from detector.data.sample import GOOD, Sample, Split

VISA_SPLIT = Path("split_csv") / "1cls.csv"
"""The split that published VisA numbers use."""

MANIFEST_SUFFIXES = frozenset({".csv", ".jsonl", ".ndjson", ".json"})
GOOD_LABELS = ("good", "normal", "ok", "pass", "passed", "0", "-1", "false")
"""Labels of good images, in any case; numbers may have a decimal part of zeros, as pandas writes them."""
BAD_LABELS = ("defect", "ng", "nok", "fail", "failed", "1", "true")
"""Labels that say no more than that an image is defective; any other word names the kind of defect."""
_SPLITS: dict[str, Split] = {"train": "train", "test": "test", "": "test"}
_ALIASES = {
    "image": ("image_path", "img_path", "path", "file", "filename"),
    "mask": ("mask_path", "gt_path"),
    "label": ("anomaly", "target"),
    "category": ("cls_name", "object"),
}
"""Other names that columns are known by."""
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?|[-+]?\.\d+|nan|[-+]?inf")


def read_visa(table: Path, root: Path) -> Reading:
    """VisA: a CSV with the columns object, split, label, image, mask and paths below `root`.

    Raises:
        DataError: a missing column, or a row that cannot be read, with its line number.
    """
    rows = _csv_rows(table, {"object", "split", "label", "image"})
    return Reading(tuple(_samples(rows, table, root)))


def read_manifest(table: Path) -> Reading:
    """A table of ours: `image`, `label` and, optionally, `mask`, `category`, `split`; paths below its folder.

    A label is one of `GOOD_LABELS`, one of `BAD_LABELS`, or the name of the kind of defect. Without a category the name
    of the file is used; without a split, `test`. Columns may be called `image_path` and `mask_path` as well, and paths
    may be written as on Windows.

    Raises:
        DataError: a missing column, or a row that cannot be read, with its line number.
    """
    suffix = table.suffix.lower()
    if suffix == ".csv":
        rows: Iterable[tuple[int, Mapping[str, Any]]] = _csv_rows(table, {"image", "label"})
    else:
        rows = _json_array(table) if suffix == ".json" else _json_rows(table)
    samples = tuple(_samples(rows, table, table.parent))
    return Reading(samples, (), tuple(_without_good(samples, table)))


def _without_good(samples: Sequence[Sample], table: Path) -> Iterator[str]:
    """A note where no label of a category says good, which may be a word that is not known."""
    for category in sorted({sample.category for sample in samples}):
        kinds = sorted({sample.defect for sample in samples if sample.category == category})
        if GOOD not in kinds:
            seen = ", ".join(kinds[:5])
            yield f"{table}: no image of {category} is good; its labels are {seen}; good is {', '.join(GOOD_LABELS)}"


def _samples(rows: Iterable[tuple[int, Mapping[str, Any]]], table: Path, root: Path) -> Iterator[Sample]:
    for line, raw in rows:
        row = _renamed(raw)
        image, label = _text(row, "image"), _text(row, "label")
        split = _SPLITS.get(_text(row, "split").lower())
        if not image or not label or split is None:
            wrong = "image" if not image else "label" if not label else "split"
            raise DataError(
                f"{table}:{line}: {wrong} {_text(row, wrong)!r}",
                expected="train or test" if wrong == "split" else f"a value in the column {wrong}",
            )
        defect = _defect(label, f"{table}:{line}")
        mask = _text(row, "mask")
        pixels = below(root, mask) if mask and defect != GOOD else None
        yield Sample(_text(row, "category") or table.stem, split, defect, below(root, image), pixels)


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row by the names of our columns; a column of ours wins over one of its other names."""
    lower = {name.strip().lower(): value for name, value in row.items()}
    others = {ours: next((lower[name] for name in names if name in lower), None) for ours, names in _ALIASES.items()}
    return {**{name: value for name, value in others.items() if value is not None}, **lower}


def _defect(label: str, where: str) -> str:
    """`good`, `defect`, or the name of the kind of defect.

    Raises:
        DataError: a number that says neither.
    """
    plain = label.lower()
    if _NUMBER.fullmatch(plain):
        value = float(plain)
        plain = str(int(value)) if value.is_integer() else plain
    if plain in GOOD_LABELS:
        return GOOD
    if plain in BAD_LABELS:
        return "defect"
    if _NUMBER.fullmatch(plain):
        known = f"{', '.join(GOOD_LABELS)} for good, {', '.join(BAD_LABELS)} for defective, or the name of the defect"
        raise DataError(f"{where}: label {label!r}", expected=known)
    return label


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _csv_rows(table: Path, needed: set[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows by column; spreadsheets also write semicolons or tabs, and people write `Image`."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            header = stream.readline()
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=max(",;\t", key=header.count))
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            if missing := sorted(needed - _renamed(dict.fromkeys(reader.fieldnames, "")).keys()):
                raise DataError(
                    f"{table}: no column {', '.join(missing)}", expected=f"a header with {', '.join(sorted(needed))}"
                )
            for row in reader:
                if any(cell.strip() for cell in row.pop(None, None) or ()):
                    raise DataError(
                        f"{table}:{reader.line_num}: a row with more than {len(reader.fieldnames)} cells",
                        expected="one cell per column, quoted where it has commas",
                    )
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        hint = 'in a spreadsheet: save as "CSV UTF-8"' if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{table}: {error}", expected="a readable UTF-8 CSV file", hint=hint) from error


def _json_rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = table.read_text(encoding="utf-8-sig").split("\n")  # U+2028 may stand inside a JSON string
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table}: {error}", expected="a readable UTF-8 file") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{table}:{number}: {error}", expected="one JSON object a line") from error
        if not isinstance(row, dict):
            raise DataError(f"{table}:{number}: {line[:40]!r}", expected="one JSON object a line")
        yield number, row


def _json_array(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Entries of a JSON array, as pandas writes it with `orient="records"`, by their number."""
    rows = read_json(table)
    if not isinstance(rows, list):
        raise DataError(f"{table} holds a {type(rows).__name__}", expected="an array of objects with image and label")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DataError(f"{table}:{number}: {str(row)[:40]!r}", expected="an object with image and label")
        yield number, row
