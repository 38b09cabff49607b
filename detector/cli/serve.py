"""`detector serve`: the page where words meet pictures, and the HTTP API."""

from pathlib import Path
from typing import Annotated

import typer

from detector.cli import options


def serve(
    category: Annotated[str | None, typer.Option(help="Product that the page opens with.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data set for the page; photos have labels and masks.")] = None,
    photos: Annotated[list[str] | None, typer.Option(help="Photos for the page: files, folders or globs.")] = None,
    references: Annotated[
        list[str] | None,
        typer.Option(help="References that requests may name: .refs.safetensors files, or folders of good photos."),
    ] = None,
    threshold: Annotated[str | None, typer.Option(help="A number or from-eval:RUN; without one, no verdicts.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than 127.0.0.1 need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that clients send; else FILO_FORGE_TOKEN, else a new one.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    reviewer: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who signs versions and marks; the system's user else.")
    ] = None,
    marks: Annotated[Path, typer.Option(help="JSONL file that marks of people are added to.")] = Path("marks.jsonl"),
    runs: Annotated[Path | None, typer.Option(help="Folder with runs of `detector eval` to show.")] = None,
    watched: Annotated[
        list[Path] | None, typer.Option(help="Folder of a `detector watch` to show, pause and resume; repeatable.")
    ] = None,
    descriptions_dir: options.DescriptionsDir = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    localizer: options.Localizer = None,
    dino_weights: options.DinoWeights = None,
    dino_text: options.DinoText = None,
    gate: options.Gate = None,
    tile: options.Tile = None,
    max_size: options.MaxSize = None,
    bits: options.Bits = None,
    max_pixels: options.MaxPixels = None,
    max_upload_mb: Annotated[int, typer.Option(min=1, help="Megabytes of one request at most.")] = 512,
    max_images: Annotated[int, typer.Option(min=1, help="Pictures of one request, and of the queue, at most.")] = 64,
    device: options.Device = None,
    precision: options.Precision = None,
    runtime: options.Runtime = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Where features of the page's photos are kept.")] = None,
) -> None:
    """Serve the review page and the HTTP API.

    Example: `detector serve --category capsule --data pictures`

    Programs send pictures to /v1/detect; people open the page. Only this machine is answered unless --host says
    otherwise.
    """
    from descriptions.common.extras import require

    require("detector serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    from detector.device import parse_batch_size
    from detector.scoring.predict import ScoringSettings
    from detector.serve.run import run_serve
    from detector.serve.settings import ServeSettings
    from detector.settings import DinoFiles, ModelChoice, ProcessorChoice, ReadSettings, read_settings

    common = read_settings(
        preset=preset, checkpoint=checkpoint, pretrained=pretrained, localizer=localizer, dino_weights=dino_weights,
        dino_text=dino_text, gate=gate, max_size=max_size, bits=bits, max_pixels=max_pixels, device=device,
        precision=precision, runtime=runtime, batch_size=batch_size, workers=workers,
    )  # fmt: skip
    settings = ServeSettings(
        category=category, data=data, photos=tuple(photos or ()), references=tuple(references or ()),
        threshold=threshold, host=host, port=port, token_file=token_file, reviewer=reviewer or "", marks=marks,
        runs=runs, watched=tuple(watched or ()), descriptions_dir=descriptions_dir, tile=tile, cache_dir=cache_dir,
        scoring=ScoringSettings(localizer=common.localizer, gate=common.gate),
        max_upload=max_upload_mb * 2**20, max_images=max_images, workers=common.workers,
        batch_size=parse_batch_size(str(common.batch_size)),
        **common.group(ModelChoice, DinoFiles, ProcessorChoice, ReadSettings),
    )  # fmt: skip
    raise typer.Exit(run_serve(settings, browser=browser))
