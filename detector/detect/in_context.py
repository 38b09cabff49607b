"""Photos beside good ones and among each other, as `Detector.predict` gives them."""

from collections.abc import Iterable, Iterator
from typing import Any

from descriptions.format.schema import DescriptionFile
from detector.detect.asked import AskError, ContextAsk, require_whole
from detector.detect.detection import Detection, Failure
from detector.detect.detector import Detector
from detector.detect.references import ReferenceScorer
from detector.detect.together import TogetherScorer
from detector.scoring.threshold import Threshold


def stream_in_context(
    detector: Detector, photos: Iterable[Any], description: DescriptionFile, ask: ContextAsk
) -> Iterator[Detection | Failure]:
    """Results in the order of the photos; what cannot work is said at once.

    Args:
        detector: with its references, where there are any.
        photos: as of `Detector.predict`.
        description: version of the words.
        ask: what else counts.

    Raises:
        AskError: a false-alarm rate without references, or photos among each other that are cut into windows.
        DetectorError: see `ReferenceScorer`, `TogetherScorer` and `threshold`.
    """
    references = detector.beside_references(description)
    if ask.false_alarms is not None and references is None:
        hint = "write detector.with_references(Bank.from_images(detector, good_photos))"
        raise AskError(f"false_alarms={ask.false_alarms!r} without references", hint=hint)
    if ask.together:
        require_whole("together", detector.predictor.tile)
        together = TogetherScorer(detector, description, list(photos), references)
        return _judged(together.stream(), _threshold(detector, together, ask))
    assert references is not None
    return _judged(_beside(detector, photos, description, references), _threshold(detector, references, ask))


def _threshold(detector: Detector, scorer: ReferenceScorer | TogetherScorer, ask: ContextAsk) -> Threshold | None:
    return detector.threshold if ask.false_alarms is None else scorer.threshold(ask.false_alarms)


def _beside(
    detector: Detector, photos: Iterable[Any], description: DescriptionFile, references: ReferenceScorer
) -> Iterator[Detection | Failure]:
    for result in detector.with_references(None).stream(photos, description, detail=True):
        yield result if isinstance(result, Failure) else references.rescored(result)


def _judged(results: Iterator[Detection | Failure], threshold: Threshold | None) -> Iterator[Detection | Failure]:
    for result in results:
        yield result if isinstance(result, Failure) else result._replace(threshold=threshold)
