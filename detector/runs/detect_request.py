"""What `detector detect` was asked for, and the detector that goes with it."""

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from descriptions.store import Store
from detector.detect.detector import Detector
from detector.detect.references import ImageScore
from detector.device import resolve_device
from detector.errors import DetectorError
from detector.images.load import MAX_PIXELS, ReadOptions
from detector.localize.registry import build_localizer
from detector.report.map_files import MapForm
from detector.scoring.feature_cache import fingerprint
from detector.scoring.predict import ScoringSettings
from detector.weights.registry import load_model


class DetectRequest(BaseModel):
    """The command line as one value."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    paths: tuple[str, ...]
    """Files, folders, globs, or `-`."""
    category: str
    """Reference to a description version."""
    descriptions_dir: Path | None = None
    """Library."""
    preset: str | None = None
    """Model by name."""
    checkpoint: Path | None = None
    """Model by file."""
    pretrained: str | None = None
    """CLIP weights where the model brings none."""
    settings: ScoringSettings = ScoringSettings()
    """How to score."""
    dino_weights: Path | None = None
    """Grounding DINO checkpoint."""
    dino_text: str = "bert-base-uncased"
    """Its vocabulary."""
    references: tuple[str, ...] = ()
    """Good photos: files, folders or globs."""
    rotations: int = 1
    """Directions that each of them is turned to."""
    image_score: ImageScore = "context"
    """What the score of a photo beside others is."""
    together: bool = False
    """Whether the photos are scored among each other."""
    false_alarms: str | None = None
    """Rate that a threshold from the references promises, such as `5%` or `0.05`."""
    threshold: str | None = None
    """See `read_threshold`; without one, images are ranked and get no verdicts."""
    out: Path | None = None
    """Folder for results."""
    maps: MapForm | None = None
    """Format of raw anomaly maps beside the pictures."""
    form: Literal["table", "json", "csv"] = "table"
    """What goes to stdout."""
    fail_on: Literal["anomalous"] | None = None
    """Verdict that makes the exit code 3."""
    tile: int | None = None
    """Window side in pixels."""
    bits: int | None = None
    """Of the values in 16-bit files."""
    max_pixels: int = MAX_PIXELS
    """Larger pictures are refused."""
    max_size: int = 4096
    """Long side images are shrunk to."""
    device: str = "auto"
    """Processor."""
    precision: str = "auto"
    """Number format."""
    batch_size: str = "auto"
    """Images per step."""
    workers: int = 2
    """Threads that read images."""
    resume: bool = False
    """Skip images done before."""

    @property
    def in_context(self) -> bool:
        """Whether scores are deviations from other photos."""
        return bool(self.references) or self.together


def make_detector(request: DetectRequest, store: Store) -> Detector:
    """Model, localizer and options, as asked for.

    Raises:
        ForgeError: what was asked for is not there, or does not go together.
    """
    require_sense(request)
    model = load_model(request.preset, request.checkpoint, request.pretrained)
    localizer = build_localizer(
        request.settings.localizer, model.config.variant, request.dino_weights, request.dino_text,
        device=str(resolve_device(request.device)),
    )  # fmt: skip
    options: dict[str, Any] = {
        "store": store,
        "settings": request.settings,
        "localizer": localizer,
        "reading": ReadOptions(request.bits, request.max_pixels),
        "batch_size": None if request.batch_size == "auto" else int(request.batch_size),
    }
    options |= request.model_dump(include={"device", "precision", "tile", "max_size", "workers"})
    return Detector(model, **options)


def require_sense(request: DetectRequest) -> None:
    """Refuse options that would do nothing.

    Raises:
        DetectorError: one of them.
    """
    if request.batch_size != "auto" and not (request.batch_size.isdigit() and int(request.batch_size)):
        raise DetectorError(f"batch size {request.batch_size!r}", expected="auto or a number from 1")
    if request.resume and request.out is None:
        raise DetectorError("--resume without --out", expected="the folder of the stopped run", hint="type --out DIR")
    if request.maps and request.out is None:
        raise DetectorError("--maps without --out", expected="a folder for the maps", hint="type --out DIR")
    if request.false_alarms and not request.references:
        raise DetectorError("--false-alarms without --references", expected="good photos to find the threshold from")
    if request.false_alarms and request.threshold is not None:
        raise DetectorError("both --false-alarms and --threshold", expected="one of them")
    if request.in_context and request.tile is not None:
        option = "--references" if request.references else "--together"
        raise DetectorError(f"{option} with --tile", expected="one of them", hint="leave out --tile")
    _require_others(request)
    if request.fail_on and request.threshold is None and request.false_alarms is None:
        raise DetectorError(
            "--fail-on without --threshold: no image would get a verdict",
            expected="a threshold",
            hint="type --threshold NUMBER, --threshold from-eval:RUN, or --references GOOD --false-alarms 5%",
        )
    if request.dino_weights is not None and request.settings.localizer != "grounding-dino":
        raise DetectorError(
            f"--dino-weights with the localizer {request.settings.localizer}", hint="type --localizer grounding-dino"
        )


def _require_others(request: DetectRequest) -> None:
    if request.image_score == "filo" and not request.in_context:
        raise DetectorError(
            "--image-score filo without --references or --together", expected="other photos", hint="leave it out"
        )
    if request.rotations > 1 and not request.references:
        raise DetectorError("--rotations without --references", expected="good photos to turn")


def identity(request: DetectRequest, detector: Detector) -> dict[str, Any]:
    """Everything but the descriptions that decides a row: options, weights by content, localizer."""
    return request.model_dump(mode="json", include={"settings", "tile", "max_size", "bits"}) | {
        "model": fingerprint(detector.model),
        "localizer": detector.localizer.fingerprint if detector.localizer else None,
    }


def parse_rate(text: str) -> float:
    """`5%` or `0.05` as a fraction.

    Raises:
        DetectorError: neither.
    """
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise DetectorError(f"--false-alarms {text}", expected="a share of good photos, such as 5% or 0.05")
    return value
