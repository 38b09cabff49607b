"""`detector detect`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from detector.cli import options

_EXAMPLE = """Find defects in photos.

Example: `detector detect photos/ --category capsule --out runs/capsule`

PATHS are files, folders, quoted globs, or `-` for a list on standard input. Bad files are listed and the rest is done
(exit code 1). Without --threshold, images are scored and get no verdict. With --references and --false-alarms the
threshold comes from good photos alone. With --fail-on anomalous the exit code is 3 when an image is called anomalous.
"""


def detect(
    paths: options.Photos,
    category: options.Ref,
    descriptions_dir: options.DescriptionsDir = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    localizer: options.Localizer = None,
    dino_weights: options.DinoWeights = None,
    dino_text: options.DinoText = None,
    gate: options.Gate = None,
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
        Literal["context", "filo"] | None,
        typer.Option(help="Score beside other photos: deviations from good (the default), or FiLo's own."),
    ] = None,
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
    form: options.Form = "table",
    tile: options.Tile = None,
    max_size: options.MaxSize = None,
    bits: options.Bits = None,
    max_pixels: options.MaxPixels = None,
    device: options.Device = None,
    precision: options.Precision = None,
    runtime: options.Runtime = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    resume: Annotated[bool, typer.Option(help="Go on where a stopped run with the same --out ended.")] = False,
) -> None:
    """See `_EXAMPLE`, which is what --help shows."""
    from detector.runs.detect import run_detect
    from detector.runs.detect_request import DetectRequest
    from detector.scoring.predict import ScoringSettings
    from detector.settings import DinoFiles, ModelChoice, ProcessorChoice, ReadSettings, read_settings

    settings = read_settings(
        preset=preset, checkpoint=checkpoint, pretrained=pretrained, localizer=localizer, dino_weights=dino_weights,
        dino_text=dino_text, gate=gate, max_size=max_size, bits=bits, max_pixels=max_pixels, device=device,
        precision=precision, runtime=runtime, batch_size=batch_size, workers=workers,
    )  # fmt: skip
    request = DetectRequest(
        paths=tuple(paths), category=category, descriptions_dir=descriptions_dir,
        settings=ScoringSettings(localizer=settings.localizer, gate=settings.gate),
        references=tuple(references or ()), rotations=rotations, image_score=image_score,
        together=together, false_alarms=false_alarms, threshold=threshold, fail_on=fail_on, out=out, maps=maps,
        form=form, tile=tile,
        batch_size=str(settings.batch_size), workers=settings.workers, resume=resume,
        **settings.group(ModelChoice, DinoFiles, ProcessorChoice, ReadSettings),
    )  # fmt: skip
    raise typer.Exit(run_detect(request))


detect.__doc__ = _EXAMPLE
