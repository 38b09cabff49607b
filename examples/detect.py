"""Find defects from Python: one model, any number of pictures, values instead of files.

python examples/detect.py PICTURE...
"""

import sys

from detector.detect.detector import Detector, Failure

detector = Detector.from_pretrained("mini")  # or Detector.from_checkpoint("filo-visa.safetensors")

# `stream` reads ahead and never holds more than a few pictures; a bad one is a value, not an exception.
for found in detector.stream(sys.argv[1:], "capsule"):
    if isinstance(found, Failure):
        print(f"{found.path}: {found.error}")
        continue
    row, column = divmod(int(found.heat.argmax()), found.heat.shape[1])
    nearest = found.descriptions[0]
    print(f"{found.path}: score {found.score:.3f}, {found.region}, hottest at ({column}, {row}) of the map")
    print(f"    {nearest.text} ({nearest.similarity:+.3f})")
