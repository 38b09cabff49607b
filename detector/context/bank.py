"""Reference photos of one product, as patch tokens with their calibration.

    bank = Bank.from_images(model, ["good/1.jpg", "good/2.jpg"], category="capsule")
    distances = bank.distances(reader.read([photo])[0], photo_hash(photo))

DetectorError
+-- BankError       references that are empty, or that belong to another model, size or category
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from detector.context import calibration
from detector.context.calibration import Scale, top_mean
from detector.context.distances import BLOCK, reduced, reference_distances
from detector.context.info import BankInfo, Reference
from detector.context.leave_one_out import leave_one_out
from detector.context.tokens import (
    ContextReader,
    Levels,
    Photo,
    context_fingerprint,
    own_versions,
    read_photo,
    read_photos,
    rotated,
)
from detector.errors import DetectorError
from detector.model.filo import FiLo
from detector.scoring.feature_cache import FeatureCache

FOREIGN = 1.2
"""Times the highest reference score: a photo whose median patch lies beyond is of another product or camera. On the
development sets another product reaches 1.5 and more, the worst defect 0.96 (see `docs/context.md`)."""


class BankError(DetectorError):
    """References that are empty, or that belong to another model, size or category."""


class HasModel(Protocol):
    """What holds a model, such as a `Detector`."""

    model: FiLo


class Oddity(NamedTuple):
    """A reference that looks unlike the others."""

    name: str
    score: float
    """Mean of the highest 1 % of its distances to the others."""
    deviations: float
    """Robust deviations from the references' median score."""


class Bank:
    """Tokens of good photos, and what good photos score against each other.

    Args:
        info: what they are of.
        tokens: of each reference, level by level, unit length and in half precision; all on the CPU.
        spreads: of every token, its distance to the other references.
        maps: leave-one-out distances of every reference's patches.
        notes: photos that were refused or deserve a word, one line each.
        pictures: by content hash, of photos that came as values and cannot be read from a file again.
    """

    def __init__(
        self,
        info: BankInfo,
        tokens: Sequence[Levels],
        spreads: Sequence[Levels],
        maps: Float[np.ndarray, "references patches"],
        notes: Sequence[str] = (),
        pictures: Mapping[str, Image.Image] = MappingProxyType({}),
    ) -> None:
        self.info, self.tokens, self.spreads, self.notes = info, list(tokens), list(spreads), tuple(notes)
        self.maps, self.pictures = maps, pictures

    @classmethod
    def from_images(
        cls,
        model: FiLo | HasModel,
        photos: Iterable[Any],
        *,
        category: str = "",
        preset: str = "",
        rotations: int = 1,
        max_patches: int | None = None,
        size: int | None = None,
        cache: FeatureCache | None = None,
        load: Callable[[Any], Image.Image] = read_photo,
    ) -> "Bank":
        """Read good photos and calibrate them against each other.

        Args:
            model: whose image tower reads them; a `Detector` will do.
            photos: paths, PIL images, arrays or tensors. Unusable ones, masks and repeats are left out, with a note.
            category: product, without a version.
            preset: what the model is called, for people.
            rotations: directions each photo is turned to; 4 or 8 for products that lie anyhow, more time.
            max_patches: tokens a level to keep, spread by greedy k-centre; None keeps all.
            size: side in pixels; the model's context size by default.
            cache: of features.
            load: reads a photo; as the photos to be judged are read, so that both look alike.

        Raises:
            BankError: a single photo in place of a list; no usable photo; or a number that makes no sense.
        """
        if rotations < 1 or (max_patches is not None and max_patches < 1):
            raise BankError(
                f"{rotations} rotations, {max_patches} patches at most", expected="1 or more", hint="4 or 8 rotations"
            )
        model = _model_of(model)
        reader = ContextReader(model, cache, size)
        kept, notes = read_photos(_many(photos), load=load)
        info = BankInfo(
            model=context_fingerprint(model), size=reader.size, category=category, preset=preset, rotations=rotations,
            max_patches=max_patches,
        )  # fmt: skip
        return _made(info, kept, notes, reader, None)

    def add(self, model: FiLo | HasModel, photos: Iterable[Any], cache: FeatureCache | None = None) -> "Bank":
        """A bank with more photos, calibrated anew.

        Raises:
            BankError: a single photo, another model, a bank reduced to a core set, or no usable photo.
        """
        model = _model_of(model)
        self.require(model)
        self._require_whole("add to")
        kept, notes = read_photos(_many(photos), [each.content for each in self.info.references])
        return _made(self.info, kept, notes, ContextReader(model, cache, self.info.size), self)

    def remove(self, names: Sequence[str]) -> "Bank":
        """A bank without some photos, named by path, file name or the start of their hash, calibrated anew.

        Raises:
            BankError: a name that no reference has, a bank reduced to a core set, or fewer than two photos left.
        """
        self._require_whole("remove from")
        out = {self._named(name) for name in names}
        stay = [index for index in range(len(self.tokens)) if index not in out]
        if len(stay) < 2:
            raise BankError(f"{len(stay)} reference left", expected="at least 2", hint="build a bank of other photos")
        info = self.info.model_copy(update={"references": tuple(self.info.references[index] for index in stay)})
        tokens = [self.tokens[index] for index in stay]
        spreads, maps = leave_one_out(tokens, [_own(each, info) for each in tokens])
        return Bank(info, tokens, spreads, maps, pictures=self.pictures)

    def _named(self, name: str) -> int:
        known = self.info.references
        ways = (
            [each.name == name for each in known],
            [Path(each.name).name == name for each in known],
            [len(name) >= 6 and each.content.startswith(name) for each in known],
        )
        hits = next((found for found in ways if any(found)), [])
        if sum(hits) != 1:
            meant = [each for each, hit in zip(known, hits, strict=True) if hit] if hits else known[:5]
            names = ", ".join(each.name for each in meant)
            raise BankError(f"{sum(hits) or 'no'} references {name!r}", expected=f"one of {names}")
        return hits.index(True)

    def _require_whole(self, verb: str) -> None:
        if self.info.max_patches is not None:
            raise BankError(
                f"cannot {verb} a bank of at most {self.info.max_patches} patches: it does not hold its photos whole",
                hint="type `detector references build` with all photos",
            )

    def require(self, model: FiLo, category: str = "") -> None:
        """Refuse another model or category.

        Raises:
            BankError: with both sides named.
        """
        if context_fingerprint(model) != self.info.model:
            raise BankError(
                f"references of model {self.info.preset or self.info.model[:12]}",
                expected=f"references of this one, {context_fingerprint(model)[:12]}",
                hint="type `detector references build` with this --preset or --checkpoint",
            )
        product = category.split("@")[0]
        if self.info.category and product and product != self.info.category:
            raise BankError(f"references of {self.info.category!r}", expected=f"references of {product!r}")

    def distances(
        self, photo: Levels, content: str = "", *, block: int = BLOCK
    ) -> tuple[Float[np.ndarray, " patches"], bool]:
        """Distance of every patch of a photo to the nearest of any reference, and whether the photo was one itself.

        A reference with the photo's own content hash is left out of the comparison.

        Raises:
            BankError: nothing is left to compare with, or another number of patches or levels.
        """
        others = [i for i, each in enumerate(self.info.references) if each.content != content or not content]
        if not others:
            raise BankError("the photo under test is the only reference", expected="another good photo")
        if len(photo) != len(self.tokens[0]) or photo[0].shape[1] != self.tokens[0][0].shape[1]:
            raise BankError("tokens of another model", expected="the model the references were read with")
        if len(photo[0]) != self.maps.shape[1]:
            raise BankError(f"a photo of {len(photo[0])} patches", expected=f"{self.maps.shape[1]}, as the references")
        references, spreads = ([kept[i] for i in others] for kept in (self.tokens, self.spreads))
        values = reference_distances(photo, references, spreads, block)
        return values.cpu().numpy(), len(others) < len(self.tokens)

    @property
    def scale(self) -> Scale:
        """Mean and deviation of a good patch's distance."""
        return Scale.of(self.maps)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        side = math.isqrt(self.maps.shape[1])
        return side, side

    def score(self, distances: Float[np.ndarray, " patches"]) -> float:
        """Score of a photo from its distances; 1 is an ordinary good photo (see `calibration.photo_score`)."""
        pairs = [calibration.fine_and_coarse(each, self.grid) for each in self.maps]
        fine, coarse = (float(np.mean(values)) for values in zip(*pairs, strict=True))
        return calibration.photo_score(distances, self.grid, (fine, coarse))

    @property
    def scores(self) -> list[float]:
        """What every reference scores against the others."""
        return [self.score(each) for each in self.maps]

    def threshold(self, false_alarms: float) -> float:
        """The score above which a photo is anomalous, at a promised rate of false alarms.

        Raises:
            FalseAlarmError: fewer references than the rate asks for; one that is calibrated by itself promises nothing.
        """
        return calibration.threshold([] if self.info.by_itself else self.scores, false_alarms)

    def check(self) -> list[Oddity]:
        """References that look odd among the others, the oddest first: defective ones, or of another product."""
        raw = [top_mean(each) for each in self.maps]
        names = [each.name for each in self.info.references]
        return [Oddity(names[index], raw[index], far) for index, far in calibration.odd_ones(raw)]

    def is_foreign(self, distances: Float[np.ndarray, " patches"]) -> bool:
        """Whether even the ordinary patches of a photo lie far from all references: another product or camera."""
        return bool(np.median(distances) > FOREIGN * max(top_mean(each) for each in self.maps))


def _made(
    info: BankInfo,
    photos: Sequence[Photo],
    notes: list[str],
    reader: ContextReader,
    before: Bank | None,
) -> Bank:
    """A bank of the references it had and of new photos."""
    tokens = list(before.tokens) if before else []
    own, references = [_own(each, info) for each in tokens], [*info.references]
    pictures = dict(before.pictures) if before else {}
    pictures |= {photo.content: photo.picture for photo in photos if not photo.from_file}
    for photo in photos:
        turned = reader.read(rotated(photo.picture, reader.size, info.rotations))
        if not all(bool(torch.isfinite(level).all()) for levels in turned for level in levels):
            notes.append(f"{photo.name}: the model's tokens hold NaN or infinity; left out")
            continue
        half = [tuple(level.half().cpu() for level in levels) for levels in turned]
        own.append(half[0])
        tokens.append(tuple(torch.cat(level) for level in zip(*half, strict=True)))
        references.append(Reference(name=photo.name, content=photo.content))
    if not photos or not references:
        why = f": {notes[0]}" if notes else ""
        raise BankError(f"no usable reference photo{why}", expected="at least one good photo of the product")
    single = len(references) == 1
    if single:
        versions = [_floats(each) for each in reader.read(own_versions(photos[0].picture, reader.size))]
        maps = reference_distances(_floats(own[0]), versions).numpy()[None]
    tokens = reduced(tokens, info.max_patches)
    if single:  # what a photo says of itself is no spread
        spreads = [tuple(level.new_zeros(len(level)) for level in each) for each in tokens]
    else:
        spreads, maps = leave_one_out(tokens, own, reader.device)
    info = info.model_copy(update={"references": tuple(references), "by_itself": single})
    return Bank(info, tokens, spreads, maps, notes, pictures)


def _model_of(model: FiLo | HasModel) -> FiLo:
    return model if isinstance(model, FiLo) else model.model


def _many(photos: Iterable[Any]) -> Iterable[Any]:
    """Many photos, not one: a path would be taken for a list of letters, a picture for a list of rows."""
    if isinstance(photos, str | Path | Image.Image) or getattr(photos, "ndim", 4) in (2, 3):
        came = f"the single path {str(photos)!r}" if isinstance(photos, str | Path) else type(photos).__name__
        raise BankError(f"photos is {came}", expected="a list of photos", hint="write [photo]")
    return photos


def _floats(levels: Levels, device: torch.device | str = "cpu") -> Levels:
    return tuple(level.float().to(device) for level in levels)


def _own(tokens: Levels, info: BankInfo) -> Levels:
    """A reference's tokens as the photo lies: the first of its turns."""
    return tuple(level[: len(level) // info.rotations] for level in tokens)
