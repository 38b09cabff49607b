"""The photos of one run scored among each other (MuSc, ICLR 2024), with the words and, where given, with references.

    scorer = TogetherScorer(detector, description, paths)
    for detection in scorer.stream(paths):
        ...

A good patch has near twins in many photos, a defect in few. Nothing is labelled. Scores and maps are in deviations from
the run's ordinary patches: every photo of the run has a part in every score.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from descriptions.common.errors import ForgeError
from descriptions.format.schema import DescriptionFile
from detector.context.calibration import Scale
from detector.context.distances import FEW_TOGETHER, FewPhotosError, mutual_distances
from detector.context.fusion import fuse, on_grid, set_scale
from detector.context.tokens import ContextReader, Levels, photo_hash
from detector.detect.detection import Detection, Failure
from detector.detect.detector import Detector
from detector.detect.naming import Namer
from detector.detect.references import ImageScore, ReferenceScorer, placed
from detector.errors import DetectorError
from detector.scoring.predict import Prediction
from detector.scoring.predictor import Ask, Predictor
from detector.scoring.prompts import PromptSet
from detector.scoring.threshold import Threshold


class _Seen(NamedTuple):
    """What is kept of one photo: some megabytes less than the photo."""

    tokens: Levels
    """In half precision, on the CPU."""
    words: Float[np.ndarray, " patches"]


class _Floats(Sequence[Levels]):
    """Tokens in single precision, made when they are asked for."""

    def __init__(self, halves: Sequence[Levels]) -> None:
        self.halves = halves

    def __len__(self) -> int:
        return len(self.halves)

    def __getitem__(self, index: int) -> Levels:  # type: ignore[override]  # no slices
        return tuple(level.float() for level in self.halves[index])


class TogetherScorer:
    """All photos of a run, read once: what each lacks in the others.

    Photos equal pixel by pixel count once, so that a copy is no witness. With references, those join the photos.

    Args:
        detector: reads words and tokens.
        description: version of the words.
        photos: paths, PIL images, arrays or tensors; those that cannot be read are reported by `stream`.
        references: good photos that are taken into account as well.
        image_score: what the score of a photo is; see `ImageScore`.

    Raises:
        DetectorError: fewer than two different photos can be read.
    """

    def __init__(
        self,
        detector: Detector,
        description: DescriptionFile,
        photos: Sequence[Any],
        references: ReferenceScorer | None = None,
        image_score: ImageScore = "context",
    ) -> None:
        self.image_score = image_score
        self.predictor: Predictor = detector.predictor
        self.references, self._photos = references, photos
        size = references.bank.info.size if references else None
        self.reader = ContextReader(self.predictor.model, self.predictor.cache, size)
        side = self.reader.size // self.predictor.model.clip.visual.conv1.kernel_size[0]
        self.grid = (side, side)
        self.seen: dict[str, _Seen] = {}
        self._results: list[tuple[str, Detection] | Failure] = []
        blank = Image.new("RGB", (1, 1))
        for result in detector.with_references(None).stream(photos, description, detail=True):
            if isinstance(result, Failure):
                self._results.append(result)
                continue
            content = photo_hash(result.image)
            self._see(content, result.image, result.map)
            self._results.append((content, result._replace(image=blank)))
        self.namer = references.namer if references else self._namer(detector.prompts(description))
        self.photos = len(self.seen)
        """Different photos of the run."""
        self._require_some()
        if references is not None:
            self._see_references(references, detector.prompts(description))
        self._compare()

    def _namer(self, prompts: PromptSet) -> Namer:
        """From all patches of the run, most of which are good."""
        detections = (result[1] for result in self._results if not isinstance(result, Failure))
        return Namer(prompts, [each.phrases for each in detections if each.phrases is not None])

    def _see(self, content: str, picture: Image.Image, anomaly_map: Float[np.ndarray, "height width"]) -> None:
        if content not in self.seen:
            tokens = tuple(level.half().cpu() for level in self.reader.read([picture])[0])
            self.seen[content] = _Seen(tokens, on_grid(anomaly_map, self.grid))

    def _see_references(self, references: ReferenceScorer, prompts: PromptSet) -> None:
        for reference in references.bank.info.references:
            if reference.content not in self.seen:
                picture = references.picture(reference)
                prediction: Prediction = self.predictor.predict([picture], [Ask(prompts)])[0][0]
                self._see(reference.content, picture, prediction.anomaly_map.numpy())

    def _require_some(self) -> None:
        if self.photos < 2:
            raise FewPhotosError(
                f"--together with {self.photos or 'no'} usable photo{'s' * (self.photos != 1)}",
                expected=f"at least 2 different ones, better {FEW_TOGETHER} or more",
                hint="add photos, or type --references GOOD instead",
            )

    def _compare(self) -> None:
        far = [values.numpy() for values in mutual_distances(_Floats([each.tokens for each in self.seen.values()]))]
        self.distances = dict(zip(self.seen, far, strict=True))
        self.scale = set_scale(np.stack(far))
        words = np.stack([each.words for each in self.seen.values()])
        self.words_scale = self.references.words_scale if self.references else set_scale(words)

    @property
    def few(self) -> str:
        """What speaks against all scores of the run; empty where nothing does."""
        if self.photos >= FEW_TOGETHER:
            return ""
        return f"only {self.photos} photos among each other: from {FEW_TOGETHER} on scores mean something"

    @property
    def notes(self) -> list[str]:
        """What a person must know of these scores, one line each."""
        few = [f"{self.few}; add photos, or type --references GOOD"] if self.few else []
        return [*few, "photos among each other: a defect that most of them show at the same place looks good"]

    def fused(self, content: str) -> Float[np.ndarray, " patches"]:
        """Words and context of one photo, in deviations from ordinary patches.

        Args:
            content: hash of a photo of the run, or of a reference.
        """
        return self._fused(content)[0]

    def _fused(self, content: str) -> tuple[Float[np.ndarray, " patches"], list[str]]:
        """Also what speaks against the score."""
        notes = [self.few] if self.few else []
        seen, far = self.seen[content], self.scale.deviations(self.distances[content])
        if self.references is not None:
            tokens = tuple(level.float().to(self.reader.device) for level in seen.tokens)
            near, more = self.references.far(tokens, content)
            notes += more
            far = (far + self.references.bank.scale.deviations(near)) / 2
        return fuse(seen.words, far, self.words_scale, Scale(0, 1)), notes

    def stream(self, files: Collection[str] | None = None) -> Iterator[Detection | Failure]:
        """Detections of photos of the run, with their context, in order; bad photos as values.

        Args:
            files: only photos of these paths; all by default.
        """
        for photo, result in zip(self._photos, self._results, strict=True):
            if files is not None and str(photo) not in files:
                continue
            if isinstance(result, Failure):
                yield result
                continue
            content, detection = result
            try:
                picture = self.predictor.load(photo)
            except ForgeError as error:  # it went away meanwhile
                yield Failure(detection.path, str(error))
                continue
            fused, notes = self._fused(content)
            detection = detection._replace(image=picture).with_notes(*notes)
            yield placed(detection, fused, self.grid, self.namer, self.image_score)

    def threshold(self, false_alarms: float) -> Threshold:
        """The score that at most a share of good photos to come exceeds, from references that were among the photos.

        Raises:
            DetectorError: no references.
            FalseAlarmError: fewer references than that rate asks for.
        """
        if self.references is None:
            raise DetectorError("--together --false-alarms without --references", expected="good photos")
        contents = [each.content for each in self.references.bank.info.references]
        return self.references.threshold(false_alarms, [self.fused(content) for content in contents])
