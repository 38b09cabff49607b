"""What people said of photos on the review page, read as the truth of a data set.

One JSON object a line, added and never changed:

    {"time", "by", "photo": {"sha256", "path"}, "category", "label": "good" | "defective" | null}
    {"time", "by", "photo": {"sha256", "path"}, "category", "phrase", "label": "right" | "wrong" | null}

The last line about a photo, or about a phrase on a photo, holds; null takes a mark back. A photo is known by what is in
its file; the path is where it was.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from descriptions.common.errors import nearest
from descriptions.common.refs import slug
from detector.data.errors import DataError
from detector.data.readers import open_data
from detector.data.sample import GOOD, DataSet, Sample
from detector.images.find import find_images
from detector.images.load import SUFFIXES

DEFECTIVE = "defective"
"""The kind of defect of a photo that was marked so and of which no data set says more."""

K = TypeVar("K")


class Marks(NamedTuple):
    """What holds now."""

    photos: dict[str, str]
    """`good` or `defective` by hash of the photo."""
    phrases: dict[tuple[str, str], str]
    """`right` or `wrong` by hash of the photo and text of the phrase."""
    places: dict[str, tuple[str, Path]]
    """Category and last known path of every photo that a line is about, by hash."""


def parse_marks(lines: Iterable[bytes]) -> Marks:
    """What holds after the last line; lines that cannot be read are left out."""
    marks = Marks({}, {}, {})
    for line in lines:
        try:
            mark = json.loads(line)
            photo, label, phrase = mark["photo"], mark["label"], mark.get("phrase")
            name, path = str(photo["sha256"]), str(photo.get("path") or "")
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        marks.places[name] = (str(mark.get("category") or ""), Path(path))
        if phrase is None:
            _put(marks.photos, name, label)
        else:
            _put(marks.phrases, (name, str(phrase)), label)
    return marks


def _put(marks: dict[K, str], key: K, label: object) -> None:
    if isinstance(label, str):
        marks[key] = label
    else:
        marks.pop(key, None)


def load_marks(path: Path) -> Marks:
    """The marks of a file.

    Raises:
        DataError: it cannot be read, or no photo is marked good or defective in it.
    """
    try:
        marks = parse_marks(path.read_bytes().splitlines())
    except OSError as error:
        hint = "detector serve --marks FILE writes one"
        raise DataError(f"--labels {path}: {error.strerror}", expected="a file of marks", hint=hint) from error
    photos = {name: label for name, label in marks.photos.items() if label in (GOOD, DEFECTIVE)}
    if not photos:
        raise DataError(
            f"--labels {path} marks no photo",
            expected='lines such as {"photo": {"sha256": ..., "path": ...}, "category": "capsule", "label": "good"}',
        )
    return marks._replace(photos=photos)


def open_labelled(root: Path | None, labels: Path | None, categories: Iterable[str] = ()) -> DataSet:
    """A data set whose truth is its own, or that of marks.

    Args:
        root: data set, or with `labels` any folder of photos; None looks for the photos where they were marked.
        labels: marks of people; None takes the data set as it is.
        categories: only these; none means all.

    Returns:
        With `labels`, only marked photos have the split `test`; training photos of a data set stay. A photo that both
        call defective keeps its kind of defect and its mask.

    Raises:
        DataError: neither is given, no such data, no marked photo among the photos, or an unknown category.
    """
    if labels is None:
        if root is None:
            raise DataError("no data set", expected="--data DIR, or --labels MARKS with photos where they were marked")
        return open_data(root, categories)
    marks = load_marks(labels)
    known, problems = (_of_root(root, marks), ()) if root is not None else _where_marked(marks, labels)
    photos = [(sample, photo_hash(sample.image)) for sample in known]
    judged = [(sample, marks.photos[name]) for sample, name in photos if name in marks.photos]
    if not judged:
        where = root or f"the places that {labels} names"
        raise DataError(f"none of the {len(marks.photos)} photos that {labels} marks is in {where}", hint="name --data")
    test = dict.fromkeys(_as_judged(sample, label) for sample, label in judged)
    kept = [sample for sample, name in photos if sample.split == "train" and name not in marks.photos]
    silent = len(known) - len(judged) - len(kept)
    notes = (f"{silent} photos without a mark are left out",) if silent else ()
    data = DataSet(root or labels, "marks", tuple(sorted([*test, *kept])), tuple(problems), notes)
    return _only(data, tuple(categories))


def _of_root(root: Path, marks: Marks) -> list[Sample]:
    """All photos below a folder: as its layout says, or else each in the category that it was marked in."""
    try:
        return list(open_data(root).samples)
    except DataError:
        if not root.is_dir():
            raise
    return [_bare(path, marks.places.get(photo_hash(path), ("", path))[0]) for path in find_images([str(root)]).photos]


def _bare(path: Path, category: str) -> Sample:
    return Sample(category, "test", DEFECTIVE, path)


def _where_marked(marks: Marks, labels: Path) -> tuple[list[Sample], list[str]]:
    """Marked photos that still are where they were, and one line for each of the others."""
    samples, problems = [], []
    for name in marks.photos:
        category, path = marks.places[name]
        places = [place for place in (path, labels.parent / path) if place.suffix.lower() in SUFFIXES]
        same = next((place for place in places if place.is_file() and photo_hash(place) == name), None)
        if same is not None:
            samples.append(_bare(same, category))
        else:
            problems.append(f"{path}: marked, and moved or changed since")
    return samples, problems


def _as_judged(sample: Sample, label: str) -> Sample:
    """A sample with the truth of a mark."""
    agrees = label != GOOD and sample.defective
    defect = GOOD if label == GOOD else sample.defect if agrees else DEFECTIVE
    return Sample(sample.category, "test", defect, sample.image, sample.mask if agrees else None)


def _only(data: DataSet, categories: tuple[str, ...]) -> DataSet:
    """The samples of some categories, by the names that descriptions have, too.

    Raises:
        DataError: an unknown one.
    """
    wanted = {slug(name) for name in categories}
    known = {slug(name) for name in data.categories}
    if unknown := sorted(wanted - known):
        problem = f"no photo of {unknown[0]!r} is marked"
        raise DataError(problem, expected=", ".join(sorted(known)), hint=nearest(unknown[0], sorted(known)))
    samples = tuple(one for one in data.samples if not wanted or slug(one.category) in wanted)
    return DataSet(data.root, data.layout, samples, data.problems, data.notes)


def photo_hash(path: Path) -> str:
    """SHA-256 of a photo's file; empty where it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=65536)
def _digest(path: Path, *_: Any) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
