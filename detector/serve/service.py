"""Everything the routes share: settings, library, engine, kept references, and how a request's words are found."""

from asyncio import wrap_future
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread

from descriptions.common.errors import nearest
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector.context.storage import SUFFIX, load_bank
from detector.detect.references import ReferenceScorer
from detector.errors import DetectorError
from detector.images.find import find_images
from detector.runs.threshold import read_threshold
from detector.scoring.threshold import Threshold
from detector.scoring.vocabulary import known_tokens
from detector.serve.engine.engine import Engine, Picture, Words
from detector.serve.errors import ServeError
from detector.serve.settings import ServeSettings

KEPT = 8
"""Scorers with references that are kept: each holds tokens of all its photos."""


class Service:
    """One server's state.

    Args:
        settings: of the command line.

    Raises:
        ForgeError: settings that cannot work.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.references = kept_references(settings.references)
        if settings.category is not None:
            self.store.load(settings.category)  # a misspelt product is said before anything is loaded
        if settings.threshold is not None and settings.category is not None:
            read_threshold(settings.threshold, settings.category)
        self.detector = settings.create_detector(self.store)
        self.engine = Engine(self.detector, limit=settings.max_images)
        self.known_tokens = known_tokens(self.detector.model)
        """Ids of the words that the model was taught; None for all."""
        self._scorers: OrderedDict[Any, ReferenceScorer] = OrderedDict()

    @property
    def store(self) -> Store:
        """The library; opened anew, since the first version that is saved may make a folder that goes before others."""
        return Store.open(self.settings.descriptions_dir)

    @property
    def ready(self) -> bool:
        """Whether the model has scored once; see `warm_up`."""
        return getattr(self, "_ready", False)

    def warm_up(self) -> None:
        """Run the image tower once, so that the first request pays for nothing."""
        from PIL import Image

        size = self.detector.model.config.image_size
        self.engine.call(lambda: self.detector.predictor.encode([Image.new("RGB", (size, size))])).result()
        self._ready = True

    def load(self, ref: str) -> DescriptionFile:
        """A version of the library, whose phrases the model can read.

        Raises:
            DescriptionError: unknown, unsafe or invalid.
            PromptTooLongError: a phrase that is too long for CLIP.
        """
        description = self.store.load(ref)
        self.detector.prompts(description)
        return description

    def threshold(self, category: str, own: str | None) -> Threshold | None:
        """The threshold of a request, else that of the server.

        Raises:
            ThresholdError: it means nothing.
        """
        if own is not None:
            try:
                return Threshold.given(float(own))
            except ValueError as error:
                raise ServeError(f"threshold {own!r}", expected="a number") from error
        return read_threshold(self.settings.threshold, category)

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run a function on the model's thread."""
        return await wrap_future(self.engine.call(function))

    async def words(
        self, description: DescriptionFile, name: str | None = None, uploads: Sequence[Picture] = ()
    ) -> tuple[Words, ReferenceScorer | None]:
        """What pictures are scored with.

        Args:
            description: version.
            name: of kept references.
            uploads: references of this request alone.
        """
        if not name and not uploads:
            return Words(description), None
        if name and uploads:
            raise ServeError("references both by name and as files", expected="one of them")
        scorer = await self.run(lambda: self._scorer(description, name, uploads))
        return Words(description, scorer.rescored), scorer

    def _scorer(self, description: DescriptionFile, name: str | None, uploads: Sequence[Picture]) -> ReferenceScorer:
        photos: Any = [str(each.path) for each in uploads] or self._kept(name or "")
        ids = tuple((entry.id, entry.enabled) for entry in description.anomalies)
        key = (name, description.content_hash, ids, description.category)
        if name and key in self._scorers:
            self._scorers.move_to_end(key)
            return self._scorers[key]
        prompts = self.detector.prompts(description)
        scorer = ReferenceScorer(self.detector.predictor, prompts, photos, description.category)
        if name:
            self._scorers[key] = scorer
            while len(self._scorers) > KEPT:
                self._scorers.popitem(last=False)
        return scorer

    def _kept(self, name: str) -> Any:
        if name not in self.references:
            known = list(self.references)
            raise ServeError(
                f"references {name[:80]!r}", expected=f"one of: {', '.join(known) or 'none are kept here'}",
                hint=nearest(name, known) or "send good photos as files, or start the server with --references",
            )  # fmt: skip
        path = self.references[name]
        return (
            load_bank(path) if path.name.endswith(SUFFIX) else [str(file) for file in find_images([str(path)]).photos]
        )

    def close(self) -> None:
        """Finish what was taken and end the threads."""
        self.engine.close()


def kept_references(paths: Sequence[str]) -> dict[str, Path]:
    """References by the name that requests use: the file's without `.refs.safetensors`, or the folder's.

    Raises:
        DetectorError: no such file or folder, or two of one name.
    """
    kept: dict[str, Path] = {}
    for text in paths:
        path = Path(text)
        if not path.exists():
            raise DetectorError(f"no references at {path}", expected=f"a {SUFFIX} file or a folder of good photos")
        name = path.resolve().name.removesuffix(SUFFIX)
        if name in kept:
            raise DetectorError(f"two references of the name {name}", hint="rename one of them")
        kept[name] = path
    return kept


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function that may take long off the event loop."""
    return await anyio.to_thread.run_sync(function)
