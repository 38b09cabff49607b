"""`detector watch`: photos of a line camera are scored as they appear."""

from pathlib import Path
from typing import Annotated

import typer


def watch(
    folder: Annotated[Path, typer.Argument(help="Folder that a camera writes into.", show_default=False)],
    category: Annotated[str, typer.Option(help="capsule, capsule@2 or capsule@reviewed.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for results.jsonl, results.csv and pictures.", show_default=False)],
    threshold: Annotated[str | None, typer.Option(help="A number or from-eval:RUN; without one, no verdicts.")] = None,
    references: Annotated[
        list[str] | None,
        typer.Option(help="Good photos to compare with: files, folders, globs, or one .refs.safetensors."),
    ] = None,
    false_alarms: Annotated[
        str | None, typer.Option(help="Share of good photos that may be called anomalous, such as 5%.")
    ] = None,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw the picture of each photo.")] = True,
    settle: Annotated[float, typer.Option(min=0, help="Seconds without a change that make a file complete.")] = 0.5,
    once: Annotated[bool, typer.Option("--once", help="End when everything that is there is done.")] = False,
    webhook: Annotated[str | None, typer.Option(help="Address that every result is sent to, signed.")] = None,
    webhook_secret: Annotated[Path | None, typer.Option(help="File with the key to sign results with.")] = None,
    descriptions_dir: Annotated[Path | None, typer.Option(help="Folder of description files.")] = None,
    preset: Annotated[str | None, typer.Option(help="mini (bundled, default) or vitl.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint instead of a preset.")] = None,
    pretrained: Annotated[str | None, typer.Option(help="CLIP weights: an open_clip tag or a file.")] = None,
    tile: Annotated[int | None, typer.Option(min=32, help="Cut larger images into windows of so many pixels.")] = None,
    max_size: Annotated[int, typer.Option(min=16, help="Shrink larger images to this long side.")] = 4096,
    bits: Annotated[int | None, typer.Option(min=8, max=16, help="Bits used in 16-bit files.")] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures before decoding them.")] = 100_000_000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
) -> None:
    """Score photos as they appear in a folder, each once, also after a kill.

    Example: `detector watch camera/ --category capsule --out results`

    A photo counts when it is written to the end. Each result is a line of JSON on standard output and in
    results.jsonl. Ctrl-C ends after the photo in hand; SIGUSR1 pauses and resumes.
    """
    from descriptions.common.extras import require

    require("detector watch", "watchfiles")
    from detector.serve.watch.run import WatchSettings, run_watch

    settings = WatchSettings(
        folder=folder, category=category, out=out, threshold=threshold, references=tuple(references or ()),
        false_alarms=false_alarms, pictures=pictures, settle=settle, once=once, webhook=webhook,
        webhook_secret=webhook_secret, descriptions_dir=descriptions_dir, preset=preset, checkpoint=checkpoint,
        pretrained=pretrained, tile=tile, max_size=max_size, bits=bits, max_pixels=max_pixels, device=device,
        precision=precision,
    )  # fmt: skip
    raise typer.Exit(run_watch(settings))
