"""`detector detect` for one product as one file, ONNX or a torch.export program: bytes of a picture in, its score out.

DetectorError
+-- ExportError     a package that is missing, something that cannot be exported, or a file that scores otherwise
"""

import copy
import importlib.metadata
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from descriptions.common.extras import require
from descriptions.common.files import staged
from descriptions.format.schema import DescriptionFile
from detector.defaults import MAX_SIZE
from detector.errors import DetectorError, OutputError
from detector.export.graph import FixedText, GraphModel, GraphOutput, ReadingText
from detector.images.tensors import to_pixels
from detector.localize.regions import REGIONS
from detector.model.filo import FiLo
from detector.scoring.feature_cache import fingerprint
from detector.scoring.predict import ScoringSettings, encode
from detector.scoring.predictor import Ask, Predictor
from detector.scoring.prompts import PromptSet
from detector.scoring.text_reader import TextReader
from detector.weights.registry import DEFAULT

Form = Literal["onnx", "torch"]
FORMS: dict[str, Form] = {".onnx": "onnx", ".pt2": "torch"}
"""Format by the end of the file's name."""
TOLERANCE = 1e-3
"""Largest difference from `detect` that any score, map value or similarity of an export may have."""
METADATA = "metadata.json"
"""Name of the metadata within a torch.export program; an ONNX file has `metadata_props`."""
OPSET = 18

_LICENCES = {
    "mini": "The weights of `mini` are for research and demonstration only; see its MODEL_CARD.md.",
    "vitl": "CLIP ViT-L/14-336 by OpenAI (MIT); the parts around it are untrained.",
}
_OTHER_LICENCE = "The weights keep the terms of their checkpoint and of the data that it was trained on."


class ExportError(DetectorError):
    """A package that is missing, something that cannot be exported, or a file that scores otherwise than `detect`."""


class Exported(NamedTuple):
    """What was written, and how near it is."""

    path: Path
    difference: float
    """Largest difference from `detect` on the pictures that were tried."""


def graph_model(
    model: FiLo, prompts: PromptSet, settings: ScoringSettings, reference: Image.Image | None = None
) -> GraphModel:
    """The module that is exported.

    The learned context moves with every image in trained models, so the file holds the text tower. It is left out
    where the context is the same for every image (as in `mini`), or where it is frozen at that of `reference`.

    Args:
        model: any FiLo on the CPU in fp32; one that is not folded yet is copied.
        prompts: of one product.
        settings: how to score; its localizer is `none` or `self`.
        reference: a good picture whose text stands for that of every picture.

    Raises:
        ExportError: the settings ask for Grounding DINO.
    """
    if settings.localizer == "grounding-dino":
        raise ExportError("Grounding DINO cannot be exported", expected="--localizer self or none")
    own = folded(model)
    if reference is None and not has_fixed_text(own):
        return GraphModel(own, prompts, settings, ReadingText(own, prompts)).eval()
    picture = reference or check_pictures()[0][0]
    with torch.inference_mode():
        embedding = encode(own, to_pixels(picture, own.config)[None]).embedding
        normal, abnormal = TextReader(own, embedding).rows(prompts)[0]
    return GraphModel(own, prompts, settings, FixedText((normal.clone()[None], abnormal.clone()[None]))).eval()


def folded(model: FiLo) -> FiLo:
    """The model as exporters need it, which cannot trace sums that are made when first needed; a copy if it changes."""
    own = model if model.decoder_cov.folded else copy.deepcopy(model)
    own.decoder_cov.fold()
    return own


def has_fixed_text(model: FiLo) -> bool:
    """Whether the learned context is the same for every image."""
    learners = (model.normal_prompt_learner, model.abnormal_prompt_learner)
    return not any(bool(learner.meta_net.linear2.weight.any()) for learner in learners)


def check_pictures() -> list[list[Image.Image]]:
    """Batches of drawn pictures that every export is tried on: several sizes, a blot on each."""
    noise, batches = np.random.default_rng(0), []
    for count, width, height in ((2, 320, 240), (1, 90, 210)):
        rows, columns = np.mgrid[:height, :width]
        drawn = []
        for index in range(count):
            weave = 128 + 40 * np.sin(rows / 9 + index) * np.cos(columns / 7) + noise.normal(0, 4, (height, width))
            blot = (rows - height / 4) ** 2 + (columns - width * (0.3 + 0.4 * index)) ** 2 < (width / 10) ** 2
            grey = np.where(blot, 30, weave).clip(0, 255).astype(np.uint8)
            drawn.append(Image.fromarray(np.stack([grey, grey, 255 - grey // 2], axis=2)))
        batches.append(drawn)
    return batches


def export_model(
    graph: GraphModel,
    prompts: PromptSet,
    path: Path,
    form: Form,
    metadata: dict[str, str] | None = None,
    reference: Image.Image | None = None,
) -> Exported:
    """Write the module, and hold the file to `detect`.

    Args:
        graph: as `graph_model` gives it.
        prompts: those of the graph.
        path: of the file.
        form: ONNX or torch.export.
        metadata: what the file says of itself.
        reference: the picture whose text is frozen in. On other pictures such a file scores otherwise than `detect`
            where the model moves its context, so that it is then tried on this one alone.

    Raises:
        MissingExtraError: ONNX is not installed.
        ExportError: the written file scores otherwise than `detect`.
        OutputError: the file cannot be written.
    """
    exact = isinstance(graph.text, ReadingText) or has_fixed_text(graph.model)
    batches = (check_pictures() if exact else []) + ([[reference]] if reference else [])
    with _writable(path), staged(path) as part:
        write = _to_onnx if form == "onnx" else _to_program
        run = write(graph, part, metadata or {})
        difference = max(_difference(graph, prompts, run, batch) for batch in batches)
        if not difference <= TOLERANCE:
            raise ExportError(f"the export differs from detect by {difference:.2g}", expected=f"at most {TOLERANCE}")
    return Exported(path, difference)


Run = Callable[[UInt8[np.ndarray, "batch height width 3"]], Sequence[np.ndarray]]


def _difference(graph: GraphModel, prompts: PromptSet, run: Run, pictures: Sequence[Image.Image]) -> float:
    """Largest difference between what a file says of pictures of one size and what `detect` says."""
    predictor = Predictor(graph.model, graph.settings, device="cpu", precision="fp32")
    expected = [one for (one,) in predictor.predict(pictures, [Ask(prompts)])]
    score, anomaly_map, similarity, _ = run(np.stack([np.asarray(picture) for picture in pictures]))
    by_id = [{each.id: each.similarity for each in one.matches} for one in expected]
    near = np.array([[values[entry.id] for entry in prompts.anomalies] for values in by_id])
    pairs = (
        (score, np.array([one.score for one in expected])),
        (anomaly_map, np.stack([one.anomaly_map.numpy() for one in expected])),
        (similarity, near.reshape(similarity.shape)),
    )
    return max(float(np.abs(ours - theirs).max(initial=0)) for ours, theirs in pairs)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written to: {error.strerror or error}", hint="name another file"
        ) from error


def form_of(path: Path) -> Form:
    """The format that a file's name asks for.

    Raises:
        ExportError: neither .onnx nor .pt2.
    """
    if path.suffix not in FORMS:
        raise ExportError(f"{path} is of no known format", expected=" or ".join(FORMS), hint="or type --format")
    return FORMS[path.suffix]


def describe_export(
    graph: GraphModel,
    description: DescriptionFile,
    *,
    model_name: str | None = None,
    checkpoint: Path | None = None,
    threshold: float | None = None,
    reference: Path | None = None,
) -> dict[str, str]:
    """What a file says of itself: where its numbers come from, and what is not in it."""
    name = f"checkpoint {checkpoint.name}" if checkpoint else f"preset {model_name or DEFAULT}"
    config, settings = graph.model.config, graph.settings
    entries = [{"id": each.id, "text": each.text} for each in description.anomalies if each.enabled]
    text = "read for every picture" if isinstance(graph.text, ReadingText) else "the same for every picture"
    if reference is not None and not has_fixed_text(graph.model):
        text = f"frozen at that of {reference.name}: scores of other pictures differ from detect's"
    about: dict[str, Any] = {
        "made_by": f"filo-forge {importlib.metadata.version('filo-forge')}",
        "category": description.category,
        "object_name": description.object_name,
        "description": description.ref,
        "description_hash": description.content_hash,
        "descriptions": entries,
        "regions": REGIONS,
        "model": name,
        "model_hash": fingerprint(graph.model),
        "image_size": config.image_size,
        "mean": config.mean,
        "std": config.std,
        "scoring": settings.model_dump(),
        "text": text,
        "same_as": f"detector detect --category {description.ref} --localizer {settings.localizer} --precision fp32",
        "not_included": f"Grounding DINO, --tile, and the reduction of pictures above {MAX_SIZE} pixels",
        "licence": _OTHER_LICENCE if checkpoint else _LICENCES.get(model_name or DEFAULT, _OTHER_LICENCE),
    }
    if threshold is not None:
        about["threshold"] = threshold
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}


@contextmanager
def quiet_export() -> Iterator[None]:
    """Without gradients, and without the exporters' own warnings."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _program(graph: GraphModel) -> Any:
    """The traced module, for any number of pictures of any size."""
    example = torch.from_numpy(np.stack([np.asarray(picture) for picture in check_pictures()[0]]))
    free = {index: torch.export.Dim(name) for index, name in enumerate(("batch", "height", "width"))}
    with quiet_export():
        return torch.export.export(graph, (example,), dynamic_shapes={"image": free})


def _to_program(graph: GraphModel, path: Path, metadata: dict[str, str]) -> Run:
    with path.open("wb") as stream:
        torch.export.save(_program(graph), stream, extra_files={METADATA: json.dumps(metadata)})
    with path.open("rb") as written:
        module = torch.export.load(written).module()

    def run(image: np.ndarray) -> Sequence[np.ndarray]:
        with torch.no_grad():
            outputs: Sequence[Tensor] = module(torch.from_numpy(image))
        return [value.numpy() for value in outputs]

    return run


def _to_onnx(graph: GraphModel, path: Path, metadata: dict[str, str]) -> Run:
    require("an ONNX export", "onnx", "onnxruntime", "onnxscript")
    import onnxruntime

    names: dict[str, Any] = {"input_names": ["image"], "output_names": list(GraphOutput._fields)}
    with quiet_export():
        program: Any = torch.onnx.export(_program(graph), dynamo=True, verbose=False, opset_version=OPSET, **names)
    for index, name in enumerate(("batch", "height", "width")):
        program.model.graph.inputs[0].shape[index] = name
    program.model.metadata_props.update(metadata)
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(image: np.ndarray) -> Sequence[np.ndarray]:
        outputs: Sequence[np.ndarray] = session.run(None, {"image": image})
        return outputs

    return run
