"""What `detector export` does, from what was typed to the file."""

from pathlib import Path
from typing import Literal

from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector import console, defaults
from detector.defaults import LocalizerName
from detector.export.archive import ExportError, describe_export, export_model, form_of, graph_model
from detector.images.load import load_image
from detector.runs.components import load_chosen_model
from detector.runs.threshold import other_origin, read_threshold
from detector.scoring.predict import ScoringSettings
from detector.scoring.prompts import create_prompts
from detector.settings import ModelChoice


class ExportRequest(ModelChoice):
    """The command line as one value."""

    out: Path
    """File to write."""
    category: str
    """Reference to a description version."""
    reference: Path | None = None
    """Good picture whose text is frozen in."""
    descriptions_dir: Path | None = None
    """Library."""
    localizer: LocalizerName = defaults.LOCALIZER
    """As of `detect`; Grounding DINO cannot be in the file."""
    threshold: str | None = None
    """A number or `from-eval:RUN`."""
    form: Literal["onnx", "torch"] | None = None
    """By the name of the file when None."""


def run_export(request: ExportRequest) -> None:
    """Write the file and print how near it is.

    Raises:
        ForgeError: the request cannot work, or the file scores otherwise than `detect`; none is left behind.
    """
    form = request.form or form_of(request.out)
    description = Store.open(request.descriptions_dir).load(request.category)
    settings = ScoringSettings(localizer="none" if request.localizer == "grounding-dino" else request.localizer)
    threshold = _threshold(request, description, settings)
    picture = load_image(request.reference, defaults.MAX_SIZE) if request.reference else None
    if request.localizer == "grounding-dino":
        console.warn("Grounding DINO cannot be in the file: it scores as detect --localizer none does")
    model = load_chosen_model(request).requires_grad_(False)
    prompts = create_prompts(description, context_tokens=model.config.context_tokens)
    graph = graph_model(model, prompts, settings, picture)
    about = describe_export(
        graph, description, model_name=request.preset, checkpoint=request.checkpoint, threshold=threshold,
        reference=request.reference,
    )  # fmt: skip
    written = export_model(graph, prompts, request.out, form, about, picture)
    line = f"{written.path}: scores as {about['same_as']}; largest difference {written.difference:.1e}"
    console.stdout().print(line, markup=False, soft_wrap=True)
    if "frozen" in about["text"]:
        console.warn(f"the text is {about['text']}; leave out --reference to have the text tower in the file")


def _threshold(request: ExportRequest, description: DescriptionFile, settings: ScoringSettings) -> float | None:
    if request.threshold is None:
        return None
    if request.threshold == "auto":
        raise ExportError("--threshold auto needs photos", expected="a number, or from-eval:RUN")
    options = request.model_dump(mode="json", include={"preset", "checkpoint"}) | {"settings": settings.model_dump()}
    options |= {"device": "cpu", "precision": "fp32", "tile": None, "max_size": defaults.MAX_SIZE}
    if doubt := other_origin(request.threshold, description, options):
        console.warn(doubt)
    threshold = read_threshold(request.threshold, request.category)
    return threshold.value if threshold else None
