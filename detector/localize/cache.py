"""Boxes kept on disk, since grounding an image takes seconds and never changes."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from descriptions.common.files import atomic_write
from detector.localize.base import Localizer
from detector.localize.boxes import Box, Localisation
from detector.localize.regions import REGIONS


class CachedLocalizer:
    """Asks another localizer only for images it has not seen with these words.

    One small JSON file an answer, keyed by pixels, words, weights, thresholds and rules. Files are written whole or
    not at all; a damaged one counts as absent, and what cannot be written is not kept.
    """

    def __init__(self, inner: Localizer, folder: Path) -> None:
        self.inner, self.folder = inner, folder

    @property
    def fingerprint(self) -> str:
        """The inner localizer's: a cache changes nothing."""
        return self.inner.fingerprint

    def locate(self, images: Sequence[Image.Image], descriptions: Sequence[str]) -> list[Localisation]:
        """Answers in order, the known ones from disk."""
        paths = [self._path(image, descriptions) for image in images]
        answers = [_read(path) for path in paths]
        unknown = [index for index, answer in enumerate(answers) if answer is None]
        if unknown:
            fresh = self.inner.locate([images[index] for index in unknown], descriptions)
            for index, answer in zip(unknown, fresh, strict=True):
                answers[index] = answer
                with suppress(OSError):
                    atomic_write(paths[index], json.dumps({"region": answer.region, "boxes": answer.boxes}))
        return [answer for answer in answers if answer is not None]

    def _path(self, image: Image.Image, descriptions: Sequence[str]) -> Path:
        key = hashlib.sha256(f"{self.fingerprint} {image.mode} {image.size} {json.dumps(list(descriptions))}".encode())
        key.update(image.tobytes())
        name = key.hexdigest()
        return self.folder / name[:2] / f"{name}.json"


def _read(path: Path) -> Localisation | None:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        region = entry["region"]
        boxes = tuple(Box.at(box[:4], str(box[4]), float(box[5])) for box in entry["boxes"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    return Localisation(boxes, region) if region is None or region in REGIONS else None
