"""Finds defects on photos of products that it was never trained on, by descriptions of what can be wrong.

from detector import Detector, Threshold

detector = Detector.from_pretrained("mini")
detector = detector.with_threshold(Threshold.quantile(detector.score(good_photos, "capsule"), 0.99))
for result in detector.predict(photos, "capsule"):
    print(result.path, result.score, result.is_anomalous, result.matches[0].text)
"""

from typing import TYPE_CHECKING

from descriptions.common.lazy import public

if TYPE_CHECKING:
    from detector.context.bank import Bank
    from detector.data.readers import open_data
    from detector.detect.detection import Detection, Failure
    from detector.detect.detector import Detector
    from detector.errors import DetectorError
    from detector.ground.grounder import Grounder, Grounding
    from detector.localize.boxes import Box
    from detector.runs.library import evaluate, train
    from detector.scoring.predict import Match, ScoringSettings
    from detector.scoring.threshold import Threshold
    from detector.train.config import TrainConfig
    from detector.weights.registry import list_presets

__all__ = [
    "Bank",
    "Box",
    "Detection",
    "Detector",
    "DetectorError",
    "Failure",
    "Grounder",
    "Grounding",
    "Match",
    "ScoringSettings",
    "Threshold",
    "TrainConfig",
    "evaluate",
    "list_presets",
    "open_data",
    "train",
]

__getattr__, __dir__ = public(
    __name__,
    {
        "Bank": "detector.context.bank",
        "Box": "detector.localize.boxes",
        "Detection": "detector.detect.detection",
        "Detector": "detector.detect.detector",
        "DetectorError": "detector.errors",
        "Failure": "detector.detect.detection",
        "Grounder": "detector.ground.grounder",
        "Grounding": "detector.ground.grounder",
        "Match": "detector.scoring.predict",
        "ScoringSettings": "detector.scoring.predict",
        "Threshold": "detector.scoring.threshold",
        "TrainConfig": "detector.train.config",
        "evaluate": "detector.runs.library",
        "list_presets": "detector.weights.registry",
        "open_data": "detector.data.readers",
        "train": "detector.runs.library",
    },
)
