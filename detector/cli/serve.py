"""`detector serve`: the page where words meet pictures, and the HTTP API."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def _batch_size(text: str) -> str:
    if text != "auto" and not (text.isdigit() and int(text)):
        raise typer.BadParameter(f"{text!r} is no number from 1, and not auto")
    return text


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
    tile: Annotated[int | None, typer.Option(min=32, help="Cut larger images into windows of so many pixels.")] = None,
    max_size: Annotated[int, typer.Option(min=16, help="Shrink larger images to this long side.")] = 4096,
    bits: Annotated[int | None, typer.Option(min=8, max=16, help="Bits used in 16-bit files.")] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures before decoding them.")] = 100_000_000,
    max_upload_mb: Annotated[int, typer.Option(min=1, help="Megabytes of one request at most.")] = 512,
    max_images: Annotated[int, typer.Option(min=1, help="Pictures of one request, and of the queue, at most.")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    batch_size: Annotated[str, typer.Option(parser=_batch_size, metavar="N|auto", help="Images a step.")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Threads that read images.")] = 2,
    cache_dir: Annotated[Path | None, typer.Option(help="Where features of the page's photos are kept.")] = None,
) -> None:
    """Serve the review page and the HTTP API.

    Example: `detector serve --category capsule --data pictures`

    Programs send pictures to /v1/detect; people open the page. Only this machine is answered unless --host says
    otherwise.
    """
    from descriptions.common.extras import require

    require("detector serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    from detector.scoring.predict import ScoringSettings
    from detector.serve.run import run_serve
    from detector.serve.settings import ServeSettings

    settings = ServeSettings(
        category=category, data=data, photos=tuple(photos or ()), references=tuple(references or ()),
        threshold=threshold, host=host, port=port, token_file=token_file, reviewer=reviewer or "", marks=marks,
        runs=runs, descriptions_dir=descriptions_dir, preset=preset, checkpoint=checkpoint, pretrained=pretrained,
        scoring=ScoringSettings(localizer=localizer, gate=gate), dino_weights=dino_weights, dino_text=dino_text,
        tile=tile, max_size=max_size, bits=bits, max_pixels=max_pixels, max_upload=max_upload_mb * 2**20,
        max_images=max_images, device=device, precision=precision, workers=workers, cache_dir=cache_dir,
        batch_size=None if batch_size == "auto" else int(batch_size),
    )  # fmt: skip
    raise typer.Exit(run_serve(settings, browser=browser))
