"""Where good ends: a score, how it was chosen, and what that choice promises.

DetectorError
+-- ThresholdError      a threshold that cannot be used
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from detector.errors import DetectorError
from detector.metrics.ranking import rank_labels, trace

Verdict = Literal["good", "anomalous"]
How = Literal["given", "guessed", "evaluation", "references", "quantile"]

GUESS_IMAGES = 8
"""Images that a guess needs at least."""
GUESS_WIDTH = 3.0
"""Robust standard deviations above the median that a guess leaves to good images."""
ROOM = 0.01
"""Distance to a next lower score where there is none."""


class ThresholdError(DetectorError):
    """A threshold that cannot be used."""


@dataclass(frozen=True)
class Threshold:
    """The score from which an image counts as anomalous, and where that number comes from."""

    value: float
    how: How
    """Who chose it: a person, a guess from unlabelled images, or an evaluation on labelled ones."""
    promises: str
    """What may be expected of it, for people."""
    n: int | None = None
    """Images that it was chosen from; None where a person typed it."""

    @classmethod
    def given(cls, value: float) -> "Threshold":
        """A number that a person typed.

        Raises:
            ThresholdError: it is no finite number.
        """
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
            raise ThresholdError(f"threshold {value!r}", expected="a finite number, or a Threshold")
        return cls(value, "given", "nothing by itself: it was typed")

    @classmethod
    def quantile(cls, scores: ArrayLike, share: float = 0.99) -> "Threshold":
        """A threshold that a share of good photos scores below.

        It lies just above the lowest of the scores that at least that share of them does not exceed. About photos to
        come, n good ones promise a false-alarm rate of 1/(n + 1) at best; what they cannot promise is said so.

        Args:
            scores: [photos] of good photos, as `Detector.score` gives them.
            share: of these photos that are called good, above 0 and below 1.

        Raises:
            ThresholdError: no scores, a score that is no finite number, or another share.
        """
        if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 < share < 1:
            raise ThresholdError(f"share {share!r}", expected="a number above 0 and below 1, such as 0.99")
        values = np.asarray(scores, dtype=np.float64).ravel()
        if not values.size or not np.isfinite(values).all():
            raise ThresholdError(
                "no scores" if not values.size else "scores with nan or inf", expected="finite numbers"
            )
        value = float(np.nextafter(np.quantile(values, share, method="inverted_cdf"), np.inf))
        promises = f"that at least {share:.4g} of these {values.size} photos lie below it"
        least = math.ceil(round(share / (1 - share), 6))
        if values.size < least:
            promises += f", and of good photos to come little: that takes {least} of them"
        return cls(value, "quantile", promises, values.size)

    @classmethod
    def guess(cls, scores: Sequence[float]) -> "Threshold | None":
        """The middle of a gap that parts a few images from the rest; None where the scores show no such gap.

        A gap counts when it is wider than the range of all scores below it, when more than half of the images lie
        below it, and when it ends at least `GUESS_WIDTH` robust standard deviations (1.4826 times the median absolute
        deviation) above the median. The lowest such gap is taken. Scores of good images alone rarely have one.

        Args:
            scores: of one run, unlabelled.
        """
        if len(scores) < GUESS_IMAGES:
            return None
        ordered = sorted(scores)
        median = statistics.median(ordered)
        spread = 1.4826 * statistics.median(abs(score - median) for score in ordered)
        for place in range(len(ordered) // 2 + 1, len(ordered)):
            below, above = ordered[place - 1], ordered[place]
            if above - below > below - ordered[0] and above > median + GUESS_WIDTH * spread:
                promises = "nothing: it supposes that most of these images are good"
                return cls(below + (above - below) / 2, "guessed", promises, len(ordered))
        return None

    @classmethod
    def best_f1(cls, scores: ArrayLike, labels: ArrayLike) -> "Threshold | None":
        """The threshold with the best F1 on labelled images; None where F1 does not exist.

        It lies midway to the next lower score. `detect` gives an image the score that `eval` gave it, to the bit on a
        CPU and to rounding on a GPU; midway, neither turns a verdict.

        Args:
            scores: [images].
            labels: [images], true for defective ones.
        """
        values, defective = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
        if not defective.any() or defective.all():
            return None
        curve = trace(rank_labels(values, defective))
        f1 = 2 * curve.hits / (curve.positives + curve.hits + curve.alarms)
        best = float(curve.thresholds[int(f1.argmax())])
        below = max((float(score) for score in values if score < best), default=best - ROOM)
        return cls.from_evaluation((best + below) / 2, len(values))

    @classmethod
    def from_evaluation(cls, value: float, n: int | None = None) -> "Threshold":
        """A threshold that an evaluation chose and wrote down.

        Args:
            value: score.
            n: images of the evaluation, where it says so.
        """
        images = f"the {n} images" if n else "the images"
        return cls(value, "evaluation", f"the best F1 on {images} of that evaluation, which it was chosen on", n)

    @property
    def guessed(self) -> bool:
        """Whether nothing but unlabelled images stands behind it."""
        return self.how == "guessed"

    def verdict(self, score: float) -> Verdict:
        """What an image of this score is called; the threshold itself is anomalous."""
        return "anomalous" if score >= self.value else "good"

    def describe(self) -> str:
        """Such as `0.4712, guessed from these 16 images; it promises nothing: ...`."""
        origin = {
            "given": "as given",
            "guessed": f"guessed from these {self.n} images",
            "evaluation": "from an evaluation",
            "references": f"from {self.n} good photos alone",
            "quantile": f"a quantile of the scores of {self.n} photos",
        }[self.how]
        return f"{self.value:.4f}, {origin}" + ("" if self.how == "given" else f"; it promises {self.promises}")

    def to_dict(self) -> dict[str, Any]:
        """Everything but the value, as plain JSON."""
        return {"how": self.how, "promises": self.promises, "n": self.n}
