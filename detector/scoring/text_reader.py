"""What the text tower reads for some images, phrase by phrase, so that no phrase is read twice."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from detector.model.filo import FiLo, Positions
from detector.model.prompt_tree import Ids, PromptIds
from detector.model.text_tower import Rows, TextFeatures, at_regions, text_features

Unit = tuple[str, tuple[Ids, ...]]
"""What is read together: `normal` or `abnormal`, and all normal states or the regions of one abnormal state."""

MAX_UNITS = 5000
"""Units remembered per context; beyond that all are forgotten, so that a long-lived process does not grow."""


@dataclass
class ReadText:
    """The units that were read in one pair of learned contexts."""

    contexts: dict[str, Float[Tensor, "context width"]]
    """By side, `normal` and `abnormal`, as one image shifts them."""
    rows: dict[str, Float[Tensor, "_ embed"]] = field(default_factory=dict)
    """Features by `unit_key`, not normalised."""
    fresh: int = 0
    """Units that the text tower had to read."""

    def is_for(self, contexts: dict[str, Tensor]) -> bool:
        """Whether an image with these contexts would read the same features."""
        return all(torch.equal(self.contexts[side], context) for side, context in contexts.items())


class TextReader:
    """Reads prompts in the contexts of a batch of images and remembers every unit it has read.

    Description versions share most of their phrases, controls share their generic states, and both passes of the
    localizer `self` read the same prompts. Where the model shifts the context of no image (its meta nets answer a
    constant, as those of `mini` do), all images share what was read, those of the batch before included.

    On the CPU each unit goes through the text tower by itself, so that its features are the same bits whatever else is
    read. Elsewhere all missing units go together, which is faster.

    Args:
        model: on its device, in evaluation mode.
        embedding: of the images; it shifts the learned context.
        before: a reader of earlier images, whose last context may be that of the first image here.
    """

    def __init__(
        self, model: FiLo, embedding: Float[Tensor, "batch embed"], before: "TextReader | None" = None
    ) -> None:
        self.model = model
        last = before.images[-1] if before is not None else None
        self.images: list[ReadText] = []
        """What each image has read; images with equal contexts share one object."""
        normal, abnormal = model.contexts(model.image_feature(embedding))
        for pair in zip(normal, abnormal, strict=True):
            contexts = dict(zip(("normal", "abnormal"), pair, strict=True))
            last = last if last is not None and last.is_for(contexts) else ReadText(contexts)
            self.images.append(last)

    def features(
        self, prompts: PromptIds | Sequence[PromptIds], positions: Sequence[Positions] | None = None
    ) -> TextFeatures:
        """The normal and the abnormal vector of every image.

        Args:
            prompts: of one product, or one set per image.
            positions: regions that the abnormal prompts of each image name; averaged over all where empty.
        """
        rows = self.rows(prompts)
        regions = positions if positions is not None else [()] * len(rows)
        return text_features([at_regions(one, at) for one, at in zip(rows, regions, strict=True)])

    def rows(self, prompts: PromptIds | Sequence[PromptIds]) -> list[Rows]:
        """Features of all prompts of each image, not normalised."""
        sets = [prompts] * len(self.images) if isinstance(prompts, PromptIds) else list(prompts)
        units = [_units(each) for each in sets]
        self._read_missing(units)
        rows = []
        for text, each in zip(self.images, units, strict=True):
            normal, *abnormal = (text.rows[key] for key, _ in each)
            rows.append((normal, torch.stack(abnormal)))
        return rows

    def _read_missing(self, units: Sequence[list[tuple[str, Unit]]]) -> None:
        missing: list[tuple[ReadText, str, Unit]] = []
        asked: set[tuple[int, str]] = set()
        for text, each in zip(self.images, units, strict=True):
            if len(text.rows) > MAX_UNITS:
                text.rows.clear()
            for key, unit in each:
                if key not in text.rows and (id(text), key) not in asked:
                    asked.add((id(text), key))
                    missing.append((text, key, unit))
        one_by_one = self.images[0].contexts["normal"].device.type == "cpu"
        groups = [[each] for each in missing] if one_by_one else [missing] if missing else []
        for group in groups:
            sides = [(states, text.contexts[side]) for text, _, (side, states) in group]
            for (text, key, _), features in zip(group, self.model.read(sides), strict=True):
                text.rows[key] = features
                text.fresh += 1


def _units(prompts: PromptIds) -> list[tuple[str, Unit]]:
    """Normal first, then each abnormal state, with their keys."""
    units: list[Unit] = [("normal", prompts.normal), *(("abnormal", state) for state in prompts.abnormal)]
    return [(unit_key(unit), unit) for unit in units]


@lru_cache(maxsize=2 * MAX_UNITS)  # asked for every unit of every image, and mostly the same
def unit_key(unit: Unit) -> str:
    """A name for the features of a unit."""
    return hashlib.sha256(repr(unit).encode()).hexdigest()[:32]
