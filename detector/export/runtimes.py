"""The image tower and the decoders in another runtime than PyTorch: pixels in, features out, words read as ever.

DetectorError
+-- RuntimeChoiceError      a runtime together with a processor or precision that it does not serve, or one that differs
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from descriptions.common.extras import require
from descriptions.common.files import staged
from detector.defaults import RuntimeName
from detector.errors import DetectorError, cannot_write
from detector.export.archive import OPSET, check_pictures, folded, quiet_export
from detector.images.tensors import to_pixels
from detector.model.filo import FiLo
from detector.scoring.feature_cache import image_fingerprint
from detector.scoring.predict import Encoded, encode

TOLERANCE = 1e-3
"""Largest difference from PyTorch that any feature may have; features are of length one."""
_PACKAGES = {"onnx": ("onnxruntime",), "openvino": ("openvino",)}
_EXPORTERS = ("onnx", "onnxscript")
_Run = Callable[[np.ndarray], list[np.ndarray]]


class RuntimeChoiceError(DetectorError):
    """A runtime together with a processor or precision that it does not serve, or one whose features differ."""


class Tower(nn.Module):
    """What no word changes, as one module that exporters can trace.

    Args:
        model: folded, on the CPU, in fp32.
    """

    def __init__(self, model: FiLo) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Float[Tensor, "batch 3 size size"]) -> tuple[Tensor, ...]:
        """The fields of `Encoded`, one after the other."""
        encoded = encode(self.model, pixels)
        return (encoded.embedding, *encoded.patches)


class RuntimeEncoder:
    """Encodes pictures outside of PyTorch.

    Args:
        name: of the runtime; features of different runtimes are kept apart in caches.
        run: pixels [batch, 3, size, size] to the fields of `Encoded`.
    """

    def __init__(self, name: RuntimeName, run: _Run) -> None:
        self.name, self._run = name, run

    def __call__(self, pixels: Float[Tensor, "batch 3 size size"]) -> Encoded:
        """Features of a batch, on the CPU in fp32."""
        embedding, *patches = map(torch.from_numpy, self._run(pixels.float().numpy()))
        return Encoded(embedding, tuple(patches))


def default_folder() -> Path:
    """Where exported towers are kept: the user's cache directory."""
    from platformdirs import user_cache_path

    return user_cache_path("filo-forge") / "runtimes"


def create_encoder(model: FiLo, name: RuntimeName, folder: Path | None = None) -> RuntimeEncoder | None:
    """The encoder of a runtime, exported when this model is first asked for; None for `torch`.

    The file is named by the fingerprint of the weights that see images. Words, contexts and adapter are not in it: a
    new description version, or text trained anew, needs no new export.

    Args:
        model: on the CPU in fp32.
        name: of the runtime.
        folder: of exported towers; the user's cache directory by default.

    Raises:
        MissingExtraError: the packages of the runtime, or for the first time of a model the exporter, are not there.
        RuntimeChoiceError: the features differ from PyTorch's by more than `TOLERANCE`.
        OutputError: the folder cannot be written to.
    """
    if name == "torch":
        return None
    require(f"--runtime {name}", *_PACKAGES[name])
    folder, model = folder or default_folder(), folded(model)
    path = folder / f"{image_fingerprint(model)}-{OPSET}.onnx"
    start = _onnx if name == "onnx" else _openvino
    if path.is_file():
        return RuntimeEncoder(name, start(path))
    require(f"--runtime {name}, the first time with a model,", *_EXPORTERS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with staged(path) as part:
            _export(model, part)
            encoder = RuntimeEncoder(name, start(part))
            _require_alike(model, encoder)
    except OSError as error:
        raise cannot_write(path, error, "another folder: set XDG_CACHE_HOME") from error
    return encoder


def _export(model: FiLo, path: Path) -> None:
    size = model.config.image_size
    batch = {"pixels": {0: torch.export.Dim("batch")}}
    names = ["embedding", *(f"patches_{number}" for number in range(_levels(model)))]
    with quiet_export():
        program = torch.export.export(Tower(model).eval(), (torch.zeros(2, 3, size, size),), dynamic_shapes=batch)
        written: Any = torch.onnx.export(
            program, dynamo=True, verbose=False, opset_version=OPSET, input_names=["pixels"], output_names=names
        )
    written.save(str(path), external_data=False)


def _levels(model: FiLo) -> int:
    return len(model.config.feature_levels) + len(model.config.conv_levels)


def _require_alike(model: FiLo, encoder: RuntimeEncoder) -> None:
    """Hold a runtime to PyTorch on drawn pictures before its file is kept."""
    for pictures in check_pictures():
        pixels = torch.stack([to_pixels(picture, model.config) for picture in pictures])
        with torch.inference_mode():
            ours, theirs = encoder(pixels), encode(model, pixels)
        pairs = zip((ours.embedding, *ours.patches), (theirs.embedding, *theirs.patches), strict=True)
        difference = max(float((one - other).abs().max()) for one, other in pairs)
        if not difference <= TOLERANCE:
            raise RuntimeChoiceError(
                f"features of --runtime {encoder.name} differ from PyTorch's by {difference:.2g}",
                expected=f"at most {TOLERANCE}",
                hint="leave --runtime out",
            )


def _onnx(path: Path) -> _Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(None, {"pixels": pixels})
        return outputs

    return run


def _openvino(path: Path) -> _Run:
    import openvino

    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(torch.get_num_threads())}
    compiled = core.compile_model(core.read_model(str(path)), "CPU", exact)

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        outputs = compiled(pixels)
        return [np.array(outputs[index]) for index in range(len(compiled.outputs))]  # the runtime reuses its memory

    return run
