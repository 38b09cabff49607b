"""What `detector detect` was asked for, and the detector that goes with it."""

import math
from pathlib import Path
from typing import Any, Literal

from descriptions.store import Store
from detector import defaults
from detector.defaults import TableForm
from detector.detect.detector import Detector
from detector.detect.references import ImageScore
from detector.device import parse_batch_size
from detector.errors import DetectorError
from detector.report.map_files import MapForm
from detector.runs.components import ScoringRequest, load_chosen_model, predictor_options
from detector.scoring.feature_cache import fingerprint
from detector.scoring.predict import ScoringSettings


class DetectRequest(ScoringRequest):
    """The command line as one value."""

    paths: tuple[str, ...]
    """Files, folders, globs, or `-`."""
    category: str
    """Reference to a description version."""
    settings: ScoringSettings = ScoringSettings()
    """How to score."""
    references: tuple[str, ...] = ()
    """Good photos: files, folders or globs."""
    rotations: int = 1
    """Directions that each of them is turned to."""
    image_score: ImageScore | None = None
    """What the score of a photo beside others is; None where nothing was typed: see `score_beside_others`."""
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
    form: TableForm = "table"
    """What goes to stdout."""
    fail_on: Literal["anomalous"] | None = None
    """Verdict that makes the exit code 3."""
    batch_size: str = defaults.BATCH_SIZE
    """Images per step."""
    workers: int = defaults.WORKERS
    """Threads that read images."""
    resume: bool = False
    """Skip images done before."""

    @property
    def in_context(self) -> bool:
        """Whether photos are compared with other photos."""
        return bool(self.references) or self.together

    @property
    def score_beside_others(self) -> ImageScore:
        """What the score of a photo beside others is."""
        return self.image_score or "context"

    @property
    def deviates(self) -> bool:
        """Whether scores are deviations from good."""
        return self.in_context and self.score_beside_others == "context"


def create_detector(request: DetectRequest, store: Store) -> Detector:
    """Model, localizer and options, as asked for.

    Raises:
        ForgeError: what was asked for is not there, or does not go together.
    """
    require_sense(request)
    model = load_chosen_model(request)
    options = predictor_options(request, request.settings, model)
    options |= {"batch_size": parse_batch_size(request.batch_size)}
    return Detector(model, store=store, workers=request.workers, **options)


def require_sense(request: DetectRequest) -> None:
    """Refuse options that would do nothing.

    Raises:
        DetectorError: one of them.
    """
    parse_batch_size(request.batch_size)
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
    if request.image_score is not None and not request.in_context:
        problem = f"--image-score {request.image_score} without --references or --together"
        raise DetectorError(problem, expected="other photos", hint="leave it out")
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
