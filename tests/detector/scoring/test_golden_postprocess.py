"""Blur, mean, score and gate of the released evaluation."""

from pathlib import Path

import pytest
import torch

from detector.scoring.maps import abnormality, blur, gate_released, image_score, mean_map
from tests.support.golden import Golden, golden_set


@pytest.fixture
def vectors(golden: Path) -> Golden:
    return golden_set(golden)


def test_golden_postprocessing(vectors):
    stored = vectors.tensors("postprocess")
    unchecked = {name for name in stored if ".rects." not in name}
    for case in sorted({name.split(".")[0] for name in stored}):
        maps = tuple(vectors.tensors("filo")[f"{case}.maps"])
        vectors.check("postprocess", f"{case}.blurred", torch.stack([blur(abnormality(level)) for level in maps]), 1e-6)
        anomaly_map = mean_map(maps)
        vectors.check("postprocess", f"{case}.mean_map", anomaly_map[None], 1e-6)
        similarity = vectors.tensors("filo")[f"{case}.text_probs"][:, 0]
        vectors.check("postprocess", f"{case}.image_score", image_score(similarity, anomaly_map)[0], 1e-6)
        unchecked -= {f"{case}.{name}" for name in ("blurred", "mean_map", "image_score")}
        for name in [each for each in unchecked if each.startswith(f"{case}.final.")]:
            gated = gate_released(anomaly_map[0], stored[name.replace(".final.", ".rects.")])
            vectors.check("postprocess", name, gated, 1e-6)
            unchecked.discard(name)
    assert not unchecked
