"""`detector export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def export(
    out: Annotated[Path, typer.Argument(help="File to write: .onnx or .pt2.", show_default=False)],
    category: Annotated[str, typer.Option(help="capsule, capsule@2 or capsule@reviewed.", show_default=False)],
    reference: Annotated[
        Path | None, typer.Option(help="A good image whose text is frozen in, instead of the text tower.")
    ] = None,
    descriptions_dir: Annotated[Path | None, typer.Option(help="Folder of description files.")] = None,
    preset: Annotated[str | None, typer.Option(help="mini (bundled, default) or vitl.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint instead of a preset.")] = None,
    pretrained: Annotated[str | None, typer.Option(help="CLIP weights: an open_clip tag or a file.")] = None,
    localizer: Annotated[
        Literal["self", "none", "grounding-dino"], typer.Option(help="As of detect; grounding-dino becomes none.")
    ] = "self",
    threshold: Annotated[
        str | None, typer.Option(help="Kept in the file: a number, or from-eval:RUN.", show_default=False)
    ] = None,
    form: Annotated[
        Literal["onnx", "torch"] | None, typer.Option("--format", help="ONNX or torch.export; by the name of OUT.")
    ] = None,
) -> None:
    """Write detect for one product as one file, which needs neither Python nor FiLo Forge, and check it against detect.

    Example: `detector export capsule.onnx --category capsule`
    """
    from detector.runs.export import ExportRequest, run_export

    run_export(
        ExportRequest(
            out=out, category=category, reference=reference, descriptions_dir=descriptions_dir, preset=preset,
            checkpoint=checkpoint, pretrained=pretrained, localizer=localizer, threshold=threshold, form=form,
        )
    )  # fmt: skip
