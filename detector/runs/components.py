"""What `detect` and `eval` are both asked for, and the parts of a predictor that go with it."""

from pathlib import Path

from detector.device import resolve_device
from detector.images.load import ReadOptions
from detector.localize.registry import create_localizer
from detector.model.filo import FiLo
from detector.scoring.predict import ScoringSettings
from detector.scoring.predictor import Options
from detector.settings import DinoFiles, ModelChoice, ProcessorChoice, ReadSettings
from detector.weights.registry import load_model


class ScoringRequest(ReadSettings, ProcessorChoice, DinoFiles, ModelChoice):
    """Everything but the scoring settings that decides how images are scored."""

    descriptions_dir: Path | None = None
    """Library."""
    tile: int | None = None
    """Window side in pixels."""


def load_chosen_model(choice: ModelChoice) -> FiLo:
    """The model that was asked for, in fp32 on the CPU and ready for inference; see `load_model`."""
    return load_model(choice.preset, choice.checkpoint, choice.pretrained)


def predictor_options(
    request: ScoringRequest, scoring: ScoringSettings, model: FiLo, boxes: Path | None = None
) -> Options:
    """Options of the predictor of a run.

    Args:
        request: as typed.
        scoring: how maps become scores; names the localizer.
        model: that the localizer serves.
        boxes: folder of boxes found before; the user's cache directory by default.

    Raises:
        GroundingWeightsError: no weights of Grounding DINO, or weights that cannot be used.
        VocabularyError: no vocabulary for it.
    """
    localizer = create_localizer(
        scoring.localizer,
        model.config.variant,
        request.dino_weights,
        request.dino_text,
        device=str(resolve_device(request.device)),
        cache=boxes,
    )
    return Options(
        settings=scoring,
        localizer=localizer,
        device=request.device,
        precision=request.precision,
        tile=request.tile,
        max_size=request.max_size,
        reading=ReadOptions(request.bits, request.max_pixels),
    )
