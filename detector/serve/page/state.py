"""What the page's routes share: albums, galleries, marks, and the words behind addresses."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from descriptions.common.refs import Ref, parse_ref
from descriptions.format.schema import DescriptionFile
from detector.scoring.feature_cache import FeatureCache, default_folder
from detector.scoring.map_scale import MapScale
from detector.serve.api.versions import system_user
from detector.serve.errors import MissingError
from detector.serve.page.album import Album, Albums, Photo
from detector.serve.page.beside import references_of
from detector.serve.page.drafting import Drafting
from detector.serve.page.gallery import Gallery, Shown, state_key
from detector.serve.page.marks import MarkFile, content
from detector.serve.service import Service

KEPT_WORDS = 512
"""Drafts that addresses of maps may still name."""
AT_ONCE = 4
"""Photos that are scored before others may use the model."""


@dataclass
class Progress:
    """How far the scoring of one product's photos is."""

    done: int = 0
    total: int = 0


class Page:
    """The page's state.

    Args:
        service: model and library.
        token: that writing requests carry.
    """

    def __init__(self, service: Service, token: str) -> None:
        self.service, self.token = service, token
        settings = service.settings
        self.albums = Albums(settings)
        cache = FeatureCache(settings.cache_dir or default_folder())
        self.gallery = Gallery(service.detector, cache, self.references)
        self.marks = MarkFile(settings.marks)
        self.drafting = Drafting(settings.descriptions_dir)
        self.reviewer = settings.reviewer or system_user()
        self.progress: dict[str, Progress] = {}
        self._words: OrderedDict[str, DescriptionFile] = OrderedDict()

    def version(self, category: str, text: str | None) -> DescriptionFile:
        """A version by number or label; the one that a bare name means by default.

        Raises:
            DescriptionError: unknown or unsafe.
        """
        name = parse_ref(category).category
        return self.service.load(f"{name}@{text}" if text else str(Ref(name)))

    def references(self, category: str) -> Path | None:
        """Where good photos of a product lie that its album is compared with."""
        return references_of(category, self.service.references, self.service.settings.category)

    def album(self, category: str) -> Album:
        """The photos of a product."""
        return self.albums.of(category)

    def remember(self, description: DescriptionFile) -> str:
        """The name of words in addresses; they can be asked for by it."""
        key = state_key(description)
        self._words[key] = description
        self._words.move_to_end(key)
        while len(self._words) > KEPT_WORDS:
            self._words.popitem(last=False)
        return key

    def words(self, key: str) -> DescriptionFile:
        """Words by their name in an address.

        Raises:
            MissingError: forgotten.
        """
        if key not in self._words:
            raise MissingError(f"no words {key[:40]!r}", hint="reload the page")
        return self._words[key]

    async def score(
        self, description: DescriptionFile, photos: Sequence[Photo], gone: Callable[[], Awaitable[bool]]
    ) -> None:
        """Score what is missing, a few photos at a time, until it is done or nobody waits for it any more."""
        missing = self.gallery.missing(description, photos)
        if not missing:
            return
        progress = Progress(len(photos) - len(missing), len(photos))
        self.progress[description.category] = progress
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            await self.service.run(partial(self.gallery.score, description, part))
            progress.done += len(part)
            if await gone():
                return

    async def one(self, description: DescriptionFile, photo: Photo) -> Shown:
        """What is said of one photo.

        Raises:
            MissingError: the photo cannot be used.
        """
        if self.gallery.missing(description, [photo]):
            await self.service.run(lambda: self.gallery.score(description, [photo]))
        shown = self.gallery.state(state_key(description))[photo.key]
        if isinstance(shown, str):
            raise MissingError(shown)
        return shown

    def scale(self, base: str, category: str) -> MapScale:
        """The colours of all maps of a product, which are those of the saved version and no switch changes."""
        return self.gallery.scale(base, self.album(category).photos)

    def hash_of(self, photo: Photo) -> str:
        """SHA-256 of a photo's file; empty where it went away."""
        try:
            return content(photo)
        except OSError:
            return ""

    async def followed(self, category: str) -> AsyncIterator[dict[str, Any]]:
        """How far scoring is, until it is done."""
        for _ in range(6000):
            progress = self.progress.get(category, Progress())
            yield {"done": progress.done, "total": progress.total}
            if progress.total and progress.done >= progress.total:
                return
            await asyncio.sleep(0.1)
