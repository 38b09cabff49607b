"""Choices of options, and what an option is when nobody sets it.

Commands, `filo-forge.toml`, and the Python API take both from here. The module imports nothing heavy, so that `--help`
can show the values at once.
"""

from typing import Final, Literal

LocalizerName = Literal["self", "none", "grounding-dino"]
"""Who says where the anomaly may be: the model's own first map, nobody, or Grounding DINO."""
GateName = Literal["soft", "hard", "none"]
"""What happens to the anomaly map outside the boxes of a localizer."""
RuntimeName = Literal["torch", "onnx", "openvino"]
"""What computes the features of images: PyTorch, ONNX Runtime or OpenVINO."""
TableForm = Literal["table", "json", "csv"]
"""What goes to stdout."""

LOCALIZER: Final[LocalizerName] = "self"
GATE: Final[GateName] = "soft"
DINO_TEXT: Final = "bert-base-uncased"
DEVICE: Final = "auto"
PRECISION: Final = "auto"
RUNTIME: Final[RuntimeName] = "torch"
BATCH_SIZE: Final = "auto"
WORKERS: Final = 2
"""Threads that read images."""
MAX_SIZE: Final = 4096
"""Long side in pixels that larger images are shrunk to while loading."""
MAX_PIXELS: Final = 100_000_000
"""Largest picture that is decoded, in pixels: 10,000 x 10,000 fits. A small file may declare far more."""
CACHE_GB: Final = 20.0
"""GB of image features that `detector eval` keeps on disk."""

SHOWN: Final = {
    "localizer": LOCALIZER,
    "gate": GATE,
    "dino_text": DINO_TEXT,
    "device": DEVICE,
    "precision": PRECISION,
    "runtime": RUNTIME,
    "batch_size": BATCH_SIZE,
    "workers": WORKERS,
    "max_size": MAX_SIZE,
    "max_pixels": MAX_PIXELS,
    "cache_gb": CACHE_GB,
}
"""Defaults of options that are None until the settings are read, by parameter, for `--help`."""
