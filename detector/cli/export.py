"""`detector export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from detector.cli import options


def export(
    out: Annotated[Path, typer.Argument(help="File to write: .onnx or .pt2.", show_default=False)],
    category: options.Ref,
    reference: Annotated[
        Path | None, typer.Option(help="A good image whose text is frozen in, instead of the text tower.")
    ] = None,
    descriptions_dir: options.DescriptionsDir = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    localizer: options.Localizer = None,
    threshold: Annotated[
        str | None, typer.Option(help="Kept in the file: a number, or from-eval:RUN.", show_default=False)
    ] = None,
    form: Annotated[
        Literal["onnx", "torch"] | None, typer.Option("--format", help="ONNX or torch.export; by the name of OUT.")
    ] = None,
) -> None:
    """Write detect for one product as one file, which needs neither Python nor FiLo Forge, and check it against detect.

    Grounding DINO cannot be in the file: the localizer grounding-dino becomes none.

    Example: `detector export capsule.onnx --category capsule`
    """
    from detector.runs.export import ExportRequest, run_export
    from detector.settings import ModelChoice, read_settings

    settings = read_settings(preset=preset, checkpoint=checkpoint, pretrained=pretrained, localizer=localizer)
    run_export(
        ExportRequest(
            out=out, category=category, reference=reference, descriptions_dir=descriptions_dir,
            localizer=settings.localizer, threshold=threshold, form=form, **settings.group(ModelChoice),
        )
    )  # fmt: skip
