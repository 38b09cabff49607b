"""What a caller asks a detector: photos and words, checked before any photo is opened."""

from collections.abc import Iterable, Sequence, Sized
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from pydantic import ValidationError

from descriptions.common.errors import wanted
from descriptions.common.refs import slug
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.context.bank import Bank
from detector.errors import DetectorError
from detector.model.filo import FiLo

Words = str | DescriptionFile | Sequence[str]
"""A reference such as `capsule@2`, a description file, or phrases such as `["thin crack", "dent"]`."""


class AskError(DetectorError):
    """Photos or words of a kind that a detector does not take."""


def require_photos(photos: Iterable[Any]) -> Iterable[Any]:
    """Many photos, not one.

    Raises:
        AskError: a single photo, no photo, or what is no series of photos.
    """
    if isinstance(photos, str | Path):
        raise AskError(f"photos is the single path {str(photos)!r}", expected="a list", hint=f"write [{str(photos)!r}]")
    if isinstance(photos, Image.Image) or getattr(photos, "ndim", 4) in (2, 3):
        raise AskError(f"photos is a single {type(photos).__name__}", expected="a list", hint="write [photo]")
    if not isinstance(photos, Iterable):
        raise AskError(f"photos is {photos!r}", expected="a list of paths, PIL images, arrays or tensors")
    if isinstance(photos, Sized) and len(photos) == 0:
        raise AskError("no photos", expected="at least one path, PIL image, array or tensor")
    return photos


def require_bank(references: Any, model: FiLo, tile: int | None) -> None:
    """References that photos of this detector can be compared with.

    Raises:
        AskError: no `Bank`, or photos that are cut into windows.
        BankError: a bank of another model.
    """
    if not isinstance(references, Bank):
        hint = "write Bank.from_images(detector, photos)"
        raise AskError(f"references is a {type(references).__name__}", expected="a Bank of good photos", hint=hint)
    require_whole("references", tile)
    references.require(model)


def require_whole(what: str, tile: int | None) -> None:
    """Photos that are not cut into windows: those of other photos are compared with whole ones.

    Raises:
        AskError: they are.
    """
    if tile is not None:
        raise AskError(f"{what} with tile={tile}", expected="one of them", hint="leave tile out")


def described(store: Store, what: Words, object_name: str | None = None) -> DescriptionFile:
    """The description that photos are scored with.

    Args:
        store: where references are looked up.
        what: see `Words`.
        object_name: the words that the model reads for the product; with phrases only, which say nothing about it.

    Raises:
        AskError: neither of these, phrases without a product, or a product where the description names one.
        DescriptionError: a reference to what is not there.
    """
    if isinstance(what, str | DescriptionFile):
        if object_name is not None:
            name = f"the description {what}" if isinstance(what, str) else f"the description file {what.ref}"
            hint = f"leave object_name out, or write [{what!r}] for a phrase" if isinstance(what, str) else ""
            raise AskError(f"object_name {object_name!r} with {name}, which names its own", hint=hint)
        return store.load(what) if isinstance(what, str) else what
    if not isinstance(what, list | tuple) or not all(isinstance(phrase, str) for phrase in what):
        raise AskError(
            f"what is {what!r}", expected="a reference such as 'capsule', a DescriptionFile, or a list of texts"
        )
    if not what:
        raise AskError("no phrases", expected="at least one, such as ['thin crack']")
    if object_name is None:
        hint = "add the product, such as object_name='capsule'"
        raise AskError(f"phrases {what!r} without object_name", hint=hint)
    return _from_phrases(what, object_name)


class ContextAsk(NamedTuple):
    """What else a photo is compared with, and what is promised of it."""

    together: bool = False
    """Whether the photos are scored among each other."""
    false_alarms: float | None = None
    """Share of good photos that may be called anomalous, by a threshold from the references."""


def _from_phrases(phrases: Sequence[str], object_name: str) -> DescriptionFile:
    try:
        return DescriptionFile(
            category=slug(object_name) or "product",
            object_name=object_name,
            anomalies=tuple(Anomaly(id=f"phrase-{number}", text=text) for number, text in enumerate(phrases, 1)),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = f"{'object_name' if first['loc'] == ('object_name',) else 'phrase'} {first['input']!r}"
        if first["type"] == "value_error":
            raise AskError(f"{problem}: {first['msg'].removeprefix('Value error, ')}") from error
        raise AskError(problem, expected=wanted(first["msg"])) from error


class Hashed(NamedTuple):
    """A description file that compares by what the detector reads of it."""

    content: tuple[str, ...]
    description: DescriptionFile

    def __hash__(self) -> int:
        return hash(self.content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashed) and self.content == other.content


def named_words(description: DescriptionFile) -> str:
    """Such as `capsule@2 ('thin crack', ...)`, since phrases given for once have no version of their own."""
    texts = description.enabled_texts
    return f"{description.ref} ({', '.join([*map(repr, texts[:1]), *(['...'] if texts[1:] else [])])})"


def hashed(description: DescriptionFile) -> Hashed:
    """What caches of a detector are keyed by."""
    ids = tuple(entry.id for entry in description.anomalies if entry.enabled)  # reported, but not hashed
    return Hashed((description.category, description.content_hash, *ids), description)
