"""Data sets that a table describes: VisA's split CSV, and manifests in CSV or JSON lines."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from detector.data.errors import DataError
from detector.data.sample import GOOD, Sample, Split

VISA_SPLIT = Path("split_csv") / "1cls.csv"
"""The split that published VisA numbers use."""

MANIFEST_SUFFIXES = frozenset({".csv", ".jsonl", ".ndjson"})
_GOOD_LABELS = frozenset({"good", "normal", "ok", "0", "false"})
_BAD_LABELS = frozenset({"1", "true"})
_SPLITS: dict[str, Split] = {"train": "train", "test": "test", "": "test"}


def read_visa(table: Path, root: Path) -> Iterator[Sample]:
    """VisA: a CSV with the columns object, split, label, image, mask and paths below `root`.

    Raises:
        DataError: a missing column, or a row that cannot be read, with its line number.
    """
    rows = _csv_rows(table, {"object", "split", "label", "image"})
    renamed = ((line, {**row, "category": row["object"]}) for line, row in rows)
    yield from _samples(renamed, table, root)


def read_manifest(table: Path) -> Iterator[Sample]:
    """A table of ours: `image`, `label` and, optionally, `mask`, `category`, `split`; paths below its folder.

    A label is `good` (or 0), `defect` (or 1), or the name of the kind of defect. Without a category the name of the
    file is used; without a split, `test`.

    Raises:
        DataError: a missing column, or a row that cannot be read, with its line number.
    """
    is_csv = table.suffix.lower() == ".csv"
    rows = _csv_rows(table, {"image", "label"}) if is_csv else _json_rows(table)
    yield from _samples(rows, table, table.parent)


def _samples(rows: Iterable[tuple[int, Mapping[str, Any]]], table: Path, root: Path) -> Iterator[Sample]:
    for line, row in rows:
        image, label = _text(row, "image"), _text(row, "label").lower()
        split = _SPLITS.get(_text(row, "split").lower())
        if not image or not label or split is None:
            wrong = "image" if not image else "label" if not label else "split"
            raise DataError(
                f"{table}:{line}: {wrong} {_text(row, wrong)!r}",
                expected="train or test" if wrong == "split" else f"a value in the column {wrong}",
            )
        defect = GOOD if label in _GOOD_LABELS else "defect" if label in _BAD_LABELS else _text(row, "label")
        mask = _text(row, "mask")
        pixels = root / mask if mask and defect != GOOD else None
        yield Sample(_text(row, "category") or table.stem, split, defect, root / image, pixels)


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
            if missing := sorted(needed - set(reader.fieldnames or ())):
                raise DataError(
                    f"{table}: no column {', '.join(missing)}", expected=f"a header with {', '.join(sorted(needed))}"
                )
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        hint = 'in a spreadsheet: save as "CSV UTF-8"' if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{table}: {error}", expected="a readable UTF-8 CSV file", hint=hint) from error


def _json_rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
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
