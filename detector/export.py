"""The image branch as ONNX or a torch.export program, with the text of one category frozen into it.

The learned context of the text moves a little with every image (`detector.model.context`). An exported model has no
text tower, so it uses the text of one reference image; what that costs on other images is measured and reported.

    DetectorError
    +-- ExportError     a package that is missing, or an export that does not give the eager outputs
"""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descriptions.files import staged
from detector import maps
from detector.errors import DetectorError, OutputError
from detector.model.filo import FiLo
from detector.model.text import TextFeatures
from detector.prompts import PromptSet

FORMS: dict[str, Literal["onnx", "torch"]] = {".onnx": "onnx", ".pt2": "torch"}
"""Format by the end of the file's name."""
TOLERANCE = 1e-3
"""Largest difference from the eager outputs that an export may have."""


class ExportError(DetectorError):
    """A package that is missing, or an export that does not give the eager outputs."""


class FixedTextModel(nn.Module):
    """Pixels to heat map and image score, with constant text vectors."""

    normal: Tensor
    abnormal: Tensor

    def __init__(self, model: FiLo, text: TextFeatures) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("normal", text.normal.detach().clone())
        self.register_buffer("abnormal", text.abnormal.detach().clone())

    def forward(
        self, pixels: Float[Tensor, "batch 3 size size"]
    ) -> tuple[Float[Tensor, "batch size size"], Float[Tensor, " batch"]]:
        """Heat map in [0, 1] and score, as `detector.scoring` makes them without a localizer."""
        features = self.model.encode_image(pixels)
        text = TextFeatures(self.normal.expand(len(pixels), -1), self.abnormal.expand(len(pixels), -1), ())
        heat = maps.heat_map(self.model.anomaly_maps(self.model.patch_embeddings(features), text))
        return heat, maps.image_score(self.model.similarity(features.embedding, text), heat)


class Exported(NamedTuple):
    """What was written, and how near it is."""

    path: Path
    difference: float
    """Largest difference from the eager model with the same fixed text, on the reference."""


def fixed_text_model(model: FiLo, prompts: PromptSet, reference: Float[Tensor, "1 3 size size"]) -> FixedTextModel:
    """The eager model that is exported; its text is that of `reference`. A model that is not folded yet is copied."""
    with torch.no_grad():
        text = model.encode_text(model.encode_image(reference).embedding, [prompts])
    own = model if model.decoder_cov.folded else copy.deepcopy(model)
    own.decoder_cov.fold()  # the exporters cannot trace sums that are made when they are first needed
    return FixedTextModel(own, text).eval()


def export_model(
    fixed: FixedTextModel, reference: Float[Tensor, "1 3 size size"], path: Path, form: Literal["onnx", "torch"]
) -> Exported:
    """Write the model and check it on the reference.

    Raises:
        ExportError: ONNX is not installed, or the written file does not give the eager outputs.
        OutputError: the file cannot be written.
    """
    with _writable(path), staged(path) as part:
        run = _to_onnx(fixed, reference, part) if form == "onnx" else _to_program(fixed, reference, part)
        with torch.no_grad():
            expected = fixed(reference)
        difference = max(float((a - b).abs().max()) for a, b in zip(expected, run, strict=True))
        if not difference <= TOLERANCE:
            raise ExportError(f"the export differs by {difference:.2g}", expected=f"at most {TOLERANCE}")
    return Exported(path, difference)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written to: {error.strerror or error}", hint="name another file"
        ) from error


def form_of(path: Path) -> Literal["onnx", "torch"]:
    """The format that a file's name asks for.

    Raises:
        ExportError: neither .onnx nor .pt2.
    """
    if path.suffix not in FORMS:
        raise ExportError(f"{path} is of no known format", expected=" or ".join(FORMS), hint="or type --format")
    return FORMS[path.suffix]


def _to_program(fixed: FixedTextModel, reference: Tensor, path: Path) -> list[Tensor]:
    with torch.no_grad(), path.open("wb") as stream:
        torch.export.save(torch.export.export(fixed, (reference,)), stream)
    with path.open("rb") as stream:
        program = torch.export.load(stream)
    with torch.no_grad():
        return list(program.module()(reference))


def _to_onnx(fixed: FixedTextModel, reference: Tensor, path: Path) -> list[Tensor]:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - what torch's exporter needs
    except ImportError as error:
        raise ExportError("ONNX is not installed", hint="type pip install 'filo-forge[onnx]'") from error
    options: dict[str, Any] = {"input_names": ["pixels"], "output_names": ["heat", "score"]}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(fixed, (reference,), str(path), dynamo=True, external_data=False, verbose=False, **options)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [torch.from_numpy(value) for value in session.run(None, {"pixels": reference.numpy()})]
