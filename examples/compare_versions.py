"""Which of two description versions orders pictures better? What `detector eval` does, from Python.

python examples/compare_versions.py DATA CATEGORY@1 CATEGORY@2
"""

import sys

from detector import evaluate

data, *refs = sys.argv[1:]
category = refs[0].partition("@")[0]
result = evaluate(data, refs, categories=[category], contributions=False, draws=200)

for row in result.to_frame().query("category == @category").to_dict("records"):
    low, high = row["image_auroc_low"], row["image_auroc_high"]
    print(f"{row['variant']}: image_auroc {row['image_auroc']:.3f} ({low:.3f} to {high:.3f})")
for line in result.warnings:
    print(f"note: {line}")
