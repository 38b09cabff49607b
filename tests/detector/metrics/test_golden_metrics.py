"""The metrics of the released evaluation, reproduced."""

import json

import pytest
from safetensors.numpy import load_file

from detector.metrics import image_metrics, pixel_metrics

RELEASED_NAMES = {
    "auroc_px": "pixel_auroc",
    "ap_px": "pixel_ap",
    "f1_px": "pixel_f1max",
    "aupro": "aupro_legacy",
    "auroc_sp": "image_auroc",
    "ap_sp": "image_ap",
    "f1_sp": "image_f1max",
}


@pytest.mark.parametrize("case", ["basic", "ties", "box_weighted"])
def test_golden_metrics(golden, case):
    expected = json.loads((golden / "manifest.json").read_text())["metrics"][case]["values"]
    stored = load_file(golden / "metrics.safetensors")
    maps, masks = list(stored[f"{case}.anomaly_maps"]), list(stored[f"{case}.masks"].astype(bool))
    pixels = pixel_metrics(maps, masks)
    images = image_metrics(stored[f"{case}.pr_sp"], stored[f"{case}.gt_sp"])
    ours = pixels.values | images.values
    assert {name: ours[RELEASED_NAMES[name]] for name in expected} == pytest.approx(expected, rel=0, abs=1e-9)
    assert pixels.notes == images.notes == ()
