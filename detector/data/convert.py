"""Writes any data set down as a manifest, so that a split can be shared or edited."""

import csv
import io
import json
import os
from pathlib import Path

from descriptions.common.files import atomic_write
from detector.data.errors import DataError
from detector.data.sample import DataSet, Sample
from detector.data.tables import MANIFEST_SUFFIXES
from detector.errors import cannot_write

COLUMNS = ("image", "label", "mask", "category", "split")


def write_manifest(data: DataSet, target: Path) -> None:
    """Write `data` as a CSV or JSON lines manifest with paths relative to it.

    Raises:
        DataError: the name has no known ending, or it lies inside the data set, which is never written to.
        OutputError: it cannot be written.
    """
    if target.suffix.lower() not in MANIFEST_SUFFIXES:
        raise DataError(f"manifest {target}", expected=f"a name ending in {', '.join(sorted(MANIFEST_SUFFIXES))}")
    home = data.root if data.root.is_dir() else data.root.parent
    if target.resolve().is_relative_to(home.resolve()):
        raise DataError(f"{target} lies inside the data set", expected="a path outside it, which is never written to")
    rows = [_row(sample, target.resolve().parent) for sample in data.samples]
    try:
        atomic_write(target, _WRITERS.get(target.suffix.lower(), _json_lines)(rows))
    except OSError as error:
        raise cannot_write(target, error, "another --to") from error


def _row(sample: Sample, folder: Path) -> dict[str, str]:
    mask = "" if sample.mask is None else _relative(sample.mask, folder)
    return {
        "image": _relative(sample.image, folder),
        "label": sample.defect,
        "mask": mask,
        "category": sample.category,
        "split": sample.split,
    }


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder)).as_posix()


def _csv(rows: list[dict[str, str]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _json_lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps({name: value for name, value in row.items() if value}) + "\n" for row in rows)


def _json(rows: list[dict[str, str]]) -> str:
    return json.dumps([{name: value for name, value in row.items() if value} for row in rows], indent=1) + "\n"


_WRITERS = {".csv": _csv, ".json": _json}
"""By suffix; any other is JSON lines."""
