"""`detector watch`: photos of a line camera are scored as they appear."""

from pathlib import Path
from typing import Annotated

import typer

from detector.cli import options


def watch(
    folder: Annotated[Path, typer.Argument(help="Folder that a camera writes into.", show_default=False)],
    category: options.Ref,
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
    mqtt: Annotated[
        str | None, typer.Option(help="Broker and topic for every result, such as mqtt://broker/line3/results.")
    ] = None,
    mqtt_login: Annotated[Path | None, typer.Option(help="File with name:password for the broker.")] = None,
    deliver: Annotated[
        Path | None, typer.Option(help="Folder that gets one JSON file per photo, in a folder per verdict.")
    ] = None,
    descriptions_dir: options.DescriptionsDir = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    tile: options.Tile = None,
    max_size: options.MaxSize = None,
    bits: options.Bits = None,
    max_pixels: options.MaxPixels = None,
    device: options.Device = None,
    precision: options.Precision = None,
    runtime: options.Runtime = None,
) -> None:
    """Score photos as they appear in a folder, each once, also after a kill.

    Example: `detector watch camera/ --category capsule --out results`

    A photo counts when it is written to the end. Each result is a line of JSON on standard output and in
    results.jsonl. Ctrl-C ends after the photo in hand; SIGUSR1, a file named paused in --out, and the page of
    `detector serve --watched` pause and resume.
    """
    from descriptions.common.extras import require

    require("detector watch", "watchfiles")
    from detector.serve.watch.run import WatchSettings, run_watch
    from detector.settings import ModelChoice, ProcessorChoice, ReadSettings, read_settings

    common = read_settings(
        preset=preset, checkpoint=checkpoint, pretrained=pretrained, max_size=max_size, bits=bits,
        max_pixels=max_pixels, device=device, precision=precision, runtime=runtime,
    )  # fmt: skip
    settings = WatchSettings(
        folder=folder, category=category, out=out, threshold=threshold, references=tuple(references or ()),
        false_alarms=false_alarms, pictures=pictures, settle=settle, once=once, webhook=webhook,
        webhook_secret=webhook_secret, mqtt=mqtt, mqtt_login=mqtt_login, deliver=deliver,
        descriptions_dir=descriptions_dir, tile=tile,
        **common.group(ModelChoice, ProcessorChoice, ReadSettings),
    )  # fmt: skip
    raise typer.Exit(run_watch(settings))
