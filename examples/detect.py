"""Find defects from Python: one model, any number of pictures, values instead of files.

python examples/detect.py PICTURE...
"""

import sys

from detector import Detector, Failure

detector = Detector.from_pretrained("mini")  # or Detector.from_checkpoint("filo-visa.safetensors")

# `stream` reads ahead and never holds more than a few pictures; a bad one is a value, not an exception.
for result in detector.stream(sys.argv[1:], "capsule"):
    if isinstance(result, Failure):
        print(f"{result.path}: {result.error}")
        continue
    row, column = divmod(int(result.map.argmax()), result.map.shape[1])
    nearest = result.matches[0]
    print(f"{result.path}: score {result.score:.3f}, {result.region}, hottest at ({column}, {row}) of the map")
    print(f"    {nearest.text} ({nearest.similarity:+.3f})")
