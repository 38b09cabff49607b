"""`detector detect`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_EXAMPLE = """Find defects in photos.

Example: `detector detect photos/ --category capsule --out runs/capsule`

PATHS are files, folders, quoted globs, or `-` for a list on standard input. Bad files are listed and the rest is done
(exit code 1). Without --threshold, images are scored and get no verdict. With --references and --false-alarms the
threshold comes from good photos alone. With --fail-on anomalous the exit code is 3 when an image is called anomalous.
"""


def detect(
    ctx: typer.Context,
    paths: Annotated[list[str], typer.Argument(help="Files, folders, globs, or - for a list.", show_default=False)],
    category: Annotated[str, typer.Option(help="capsule, capsule@2 or capsule@reviewed.", show_default=False)],
    descriptions_dir: Annotated[Path | None, typer.Option(help="Folder of description files.")] = None,
    preset: Annotated[str | None, typer.Option(help="mini (bundled, default) or vitl.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint instead of a preset.")] = None,
    pretrained: Annotated[str | None, typer.Option(help="CLIP weights: an open_clip tag or a file.")] = None,
    localizer: Annotated[
        Literal["self", "none", "grounding-dino"], typer.Option(help="Who says where the anomaly may be.")
    ] = "self",
    dino_weights: Annotated[Path | None, typer.Option(help="Grounding DINO checkpoint.")] = None,
    dino_text: Annotated[str, typer.Option(help="Folder with BERT's vocab.txt, or a hub name.")] = "bert-base-uncased",
    gate: Annotated[
        Literal["soft", "hard", "none"], typer.Option(help="What the map is outside the boxes of Grounding DINO.")
    ] = "soft",
    threshold: Annotated[
        str | None,
        typer.Option(help="Score from which an image is anomalous: a number, from-eval:RUN, or auto (a guess)."),
    ] = None,
    references: Annotated[
        list[str] | None,
        typer.Option(help="Good photos to compare with: files, folders, globs, or one .refs.safetensors."),
    ] = None,
    rotations: Annotated[
        int, typer.Option(min=1, help="Directions each reference is turned to, such as 4 or 8; takes as much longer.")
    ] = 1,
    together: Annotated[
        bool, typer.Option("--together", help="Score the photos among each other; from 8 photos of one product on.")
    ] = False,
    image_score: Annotated[
        Literal["context", "filo"], typer.Option(help="Score beside other photos: deviations from good, or FiLo's own.")
    ] = "context",
    false_alarms: Annotated[
        str | None, typer.Option(help="Share of good photos that may be called anomalous, such as 5%.")
    ] = None,
    fail_on: Annotated[
        Literal["anomalous"] | None, typer.Option(help="Exit with code 3 when an image has this verdict.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for pictures, tables and report.html.")] = None,
    maps: Annotated[
        Literal["npy", "tiff"] | None, typer.Option(help="Also save raw maps: float16 .npy, or 16-bit .tiff.")
    ] = None,
    form: Annotated[Literal["table", "json", "csv"], typer.Option("--format", help="What goes to stdout.")] = "table",
    tile: Annotated[int | None, typer.Option(min=32, help="Cut larger images into windows of so many pixels.")] = None,
    max_size: Annotated[int, typer.Option(min=16, help="Shrink larger images to this long side.")] = 4096,
    bits: Annotated[
        int | None, typer.Option(min=8, max=16, help="Bits used in 16-bit files; by default found out per folder.")
    ] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures before decoding them.")] = 100_000_000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    batch_size: Annotated[str, typer.Option(help="Images a step, or auto.")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Threads that read images.")] = 2,
    resume: Annotated[bool, typer.Option(help="Go on where a stopped run with the same --out ended.")] = False,
) -> None:
    """See `_EXAMPLE`, which is what --help shows."""
    from detector.runs.detect import run_detect
    from detector.runs.detect_request import DetectRequest
    from detector.scoring.predict import ScoringSettings

    source = ctx.get_parameter_source("dino_weights")
    if localizer != "grounding-dino" and source and source.name == "DEFAULT_MAP":
        dino_weights = None  # kept in the settings for runs that use it, not asked for in this one
    request = DetectRequest(
        paths=tuple(paths), category=category, descriptions_dir=descriptions_dir, preset=preset,
        checkpoint=checkpoint, pretrained=pretrained,
        settings=ScoringSettings(localizer=localizer, gate=gate), dino_weights=dino_weights, dino_text=dino_text,
        references=tuple(references or ()), rotations=rotations, image_score=image_score, together=together,
        false_alarms=false_alarms,
        threshold=threshold, fail_on=fail_on, out=out, maps=maps, form=form, tile=tile, max_size=max_size,
        bits=bits, max_pixels=max_pixels, device=device, precision=precision,
        batch_size=batch_size, workers=workers, resume=resume,
    )  # fmt: skip
    raise typer.Exit(run_detect(request))


detect.__doc__ = _EXAMPLE
