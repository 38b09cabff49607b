"""Which of two description versions orders pictures better? What `detector eval` does, without error bars.

python examples/compare_versions.py DATA CATEGORY@1 CATEGORY@2
"""

import sys
from pathlib import Path

import numpy as np

from descriptions.common.refs import parse_ref
from detector.data.readers import open_data
from detector.detect.detector import Detector
from detector.metrics import image_metrics

data, *refs = sys.argv[1:]
detector = Detector.from_pretrained("mini")

for ref in refs:
    samples = open_data(Path(data), [parse_ref(ref).category]).select(split="test")
    found = detector.detect([sample.image for sample in samples], ref)
    scores = np.array([each.score for each in found])
    labels = np.array([sample.defective for sample in samples])
    values = image_metrics(scores, labels).values
    print(f"{ref}: " + ", ".join(f"{name} {value:.3f}" for name, value in values.items() if value is not None))
