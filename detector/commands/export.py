"""`detector export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def export(
    out: Annotated[Path, typer.Argument(help="File to write: .onnx or .pt2.", show_default=False)],
    category: Annotated[str, typer.Option(help="capsule, capsule@2 or capsule@reviewed.", show_default=False)],
    reference: Annotated[Path, typer.Option(help="A good image; its text is frozen in.", show_default=False)],
    descriptions_dir: Annotated[Path | None, typer.Option(help="Folder of description files.")] = None,
    preset: Annotated[str | None, typer.Option(help="mini (bundled, default) or vitl.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint instead of a preset.")] = None,
    pretrained: Annotated[str | None, typer.Option(help="CLIP weights: an open_clip tag or a file.")] = None,
    form: Annotated[
        Literal["onnx", "torch"] | None, typer.Option("--format", help="ONNX or torch.export; by the name of OUT.")
    ] = None,
) -> None:
    """Write pixels-to-map as one file without a text tower, checked against the model.

    Example: `detector export capsule.onnx --category capsule --reference good.jpg`
    """
    from descriptions.store import Store
    from detector import console
    from detector.export import export_model, fixed_text_model, form_of
    from detector.images import load_image
    from detector.preprocess import to_pixels
    from detector.presets import load_model
    from detector.prompts import build_prompts

    form = form or form_of(out)
    description = Store.open(descriptions_dir).load(category)
    image = load_image(reference)
    model = load_model(preset, checkpoint, pretrained).requires_grad_(False)
    pixels = to_pixels(image, model.config)[None]
    prompts = build_prompts(description, context_tokens=model.config.context_tokens)
    written = export_model(fixed_text_model(model, prompts, pixels), pixels, out, form)
    console.stdout().print(f"{written.path}: differs from the model by {written.difference:.1e}", markup=False)
