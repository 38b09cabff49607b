"""What `detect` and `eval` are both asked for, and the parts of a predictor that go with it."""

from pathlib import Path

from detector.defaults import RuntimeName
from detector.device import resolve_device
from detector.images.load import ReadOptions
from detector.localize.registry import create_localizer
from detector.model.filo import FiLo
from detector.scoring.predict import ScoringSettings
from detector.scoring.predictor import Encoder, Options
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
        RuntimeChoiceError: a runtime with a processor or precision that it does not serve; see also `create_encoder`.
    """
    device = request.device if request.runtime == "torch" else _require_cpu(request)
    localizer = create_localizer(
        scoring.localizer,
        model.config.variant,
        request.dino_weights,
        request.dino_text,
        device=str(resolve_device(device)),
        cache=boxes,
    )
    return Options(
        settings=scoring,
        localizer=localizer,
        encoder=None if request.runtime == "torch" else _encoder(model, request.runtime),
        device=device,
        precision=request.precision,
        tile=request.tile,
        max_size=request.max_size,
        reading=ReadOptions(request.bits, request.max_pixels),
    )


def _encoder(model: FiLo, runtime: RuntimeName) -> Encoder | None:
    from detector.export.runtimes import create_encoder  # brings the exporters of torch, which PyTorch needs none of

    return create_encoder(model, runtime)


def _require_cpu(request: ScoringRequest) -> str:
    """Other runtimes compute on the CPU in fp32; anything else that was typed would be ignored."""
    from detector.export.runtimes import RuntimeChoiceError

    for option, value, served in (("device", request.device, "cpu"), ("precision", request.precision, "fp32")):
        if value not in ("auto", served):
            raise RuntimeChoiceError(
                f"--runtime {request.runtime} with --{option} {value}", expected=f"--{option} {served}"
            )
    return "cpu"
