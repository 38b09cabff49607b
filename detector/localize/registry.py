"""From what was typed to the localizer of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from detector.defaults import DINO_TEXT
from detector.localize.errors import GroundingWeightsError

if TYPE_CHECKING:
    from detector.localize.base import Localizer

BOXES = "boxes"
"""Folder of kept boxes in the user's cache directory."""


def needs_weights() -> GroundingWeightsError:
    """What is said where Grounding DINO is asked for and no weights are given."""
    return GroundingWeightsError("the localizer grounding-dino needs weights", hint="type --dino-weights FILE")


def create_localizer(
    name: str,
    rules: Literal["filo", "released"],
    weights: Path | None,
    text_source: str | Path = DINO_TEXT,
    *,
    device: str = "cpu",
    cache: Path | None = None,
) -> "Localizer | None":
    """The outside localizer of a run; None for `none` and `self`, which are part of scoring.

    Args:
        name: localizer of the scoring settings.
        rules: how boxes are accepted; the variant of the model that reads them.
        weights: Grounding DINO checkpoint.
        text_source: folder with BERT's `vocab.txt`, or a hub name.
        device: where it runs.
        cache: folder of boxes found before; the user's cache directory by default.

    Raises:
        GroundingWeightsError: no weights, or weights that cannot be used.
        VocabularyError: no vocabulary there.
    """
    if name != "grounding-dino":
        return None
    if weights is None:
        raise needs_weights()
    from platformdirs import user_cache_path

    from detector.localize.cache import CachedLocalizer
    from detector.localize.dino.localizer import GroundingDino

    dino = GroundingDino.from_checkpoint(weights, text_source, rules=rules, device=device)
    return CachedLocalizer(dino, cache or user_cache_path("filo-forge") / BOXES)
