"""Which words name a defect: judged by what each phrase says of good patches of this very product."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from detector.context.fusion import name_defect, on_grid, phrase_scale, top_patches
from detector.detect.detection import Detection
from detector.scoring.predict import Match
from detector.scoring.prompts import PromptSet


class Namer:
    """What every phrase says of ordinary patches, and with that, which one names a region.

    Args:
        prompts: whose descriptions the phrases are, in order.
        good: cosine of every patch with every phrase, one array [patches, phrases] a photo; of good photos, or of a run
            in which most patches are good.
    """

    def __init__(self, prompts: PromptSet, good: Sequence[Float[np.ndarray, "patches phrases"]]) -> None:
        self.prompts = prompts
        self.scale = phrase_scale(np.stack(good)) if prompts.anomalies and good else None

    def named(
        self, detection: Detection, fused: Float[np.ndarray, " patches"], grid: tuple[int, int]
    ) -> tuple[Match, ...]:
        """Descriptions, the one that names the highest 1 % of patches best first.

        Args:
            detection: with its phrases; without, its descriptions are returned as they are.
            fused: deviations from good, row-major over the grid.
            grid: rows and columns.
        """
        if self.scale is None or detection.phrases is None:
            return detection.matches
        side = round(len(detection.phrases) ** 0.5)
        region = top_patches(on_grid(fused.reshape(grid), (side, side)))
        return tuple(
            Match(*self.prompts.anomalies[each.phrase], each.similarity, each.deviations)
            for each in name_defect(detection.phrases, region, self.scale)
        )
