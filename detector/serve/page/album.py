"""The photos that the page shows of a product, and what is known of them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from descriptions.common.refs import slug
from detector.data import GOOD, DataSet, Sample, open_data
from detector.images.find import find_images
from detector.serve.errors import MissingError
from detector.serve.settings import ServeSettings


class Photo(NamedTuple):
    """One photo of an album."""

    key: str
    """Names it in addresses."""
    path: Path
    defect: str | None
    """What the data set calls it; None where nobody said."""
    mask: Path | None = None

    @property
    def name(self) -> str:
        """Its file with the folder around it, which a data set names by the defect."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def defective(self) -> bool | None:
        """What the data set says."""
        return None if self.defect is None else self.defect != GOOD


class Album(NamedTuple):
    """The photos of one product."""

    photos: tuple[Photo, ...]
    left_out: int
    """Photos beyond the limit."""

    def get(self, key: str) -> Photo:
        """A photo by its key.

        Raises:
            MissingError: there is none.
        """
        for photo in self.photos:
            if photo.key == key:
                return photo
        raise MissingError(f"no photo {key[:40]!r}", hint="it may have changed; reload the page")


class Albums:
    """Albums by product: of a data set where one was named, else of photos without labels.

    Args:
        settings: `data`, `photos`, `category` and `max_photos`.

    Raises:
        ForgeError: no such data set or photos.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.data: DataSet | None = open_data(settings.data) if settings.data is not None else None
        self.files = find_images(settings.photos).photos if settings.photos else []
        self._known: dict[str, Album] = {}

    def categories(self) -> list[str]:
        """Products that the data set shows."""
        return sorted({slug(name) for name in self.data.categories}) if self.data is not None else []

    def of(self, category: str) -> Album:
        """The photos of a product; none where nothing shows it."""
        if category not in self._known:
            self._known[category] = self._made(category)
        return self._known[category]

    def _made(self, category: str) -> Album:
        limit = self.settings.max_photos
        if self.data is not None:
            names = [name for name in self.data.categories if slug(name) == category]
            samples = [sample for name in names for sample in self.data.select(category=name, split="test")]
            if samples:
                shown = spread(samples, limit)
                return Album(tuple(map(_of_sample, shown)), len(samples) - len(shown))
        if self.files and self.settings.category in (None, category):
            photos = [Photo(_key(path), path, None) for path in self.files[:limit]]
            return Album(tuple(photos), len(self.files) - len(photos))
        return Album((), 0)


def spread(samples: Iterable[Sample], limit: int) -> list[Sample]:
    """At most so many samples, alike from every kind of defect, in their order."""
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        kinds[sample.defect].append(sample)
    picked: list[Sample] = []
    rank = 0
    while len(picked) < limit and any(rank < len(kind) for kind in kinds.values()):
        picked += [kind[rank] for kind in kinds.values() if rank < len(kind)][: limit - len(picked)]
        rank += 1
    return sorted(picked)


def _of_sample(sample: Sample) -> Photo:
    return Photo(_key(sample.image), sample.image, sample.defect, sample.mask)


def _key(path: Path) -> str:
    """Changes with the file, so that a browser may keep what it was shown."""
    try:
        status = path.stat()
        stamp: Sequence[int] = (status.st_size, status.st_mtime_ns)
    except OSError:
        stamp = ()
    return hashlib.sha256(f"{path.resolve()} {stamp}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
