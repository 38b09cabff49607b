"""`detector measure`: scores for other programs, over standard input and output."""

from pathlib import Path
from typing import Annotated

import typer

from detector.cli import options


def measure(
    data: options.LabelledData = None,
    labels: options.Labels = None,
    category: Annotated[
        str | None, typer.Option(help="Which one, where the data has several.", rich_help_panel=options.DATA_PANEL)
    ] = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    localizer: options.Localizer = None,
    device: options.Device = None,
    precision: options.Precision = None,
    tile: options.Tile = None,
    max_size: options.MaxSize = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Of image features; the user's by default.")] = None,
) -> None:
    """Score every test photo with the versions that come in as lines of JSON; made for programs.

    `prompt-forge improve` measures through it. Each photo is encoded once, however many lines come; the module
    detector.runs.measure says what a line holds.

    Example: `detector measure --data pictures --category capsule`
    """
    from detector.runs.measure import MeasureRequest, run_measure
    from detector.scoring.predict import ScoringSettings
    from detector.settings import DinoFiles, ModelChoice, ProcessorChoice, ReadSettings, read_settings

    settings = read_settings(
        preset=preset, checkpoint=checkpoint, pretrained=pretrained, localizer=localizer, device=device,
        precision=precision, max_size=max_size,
    )  # fmt: skip
    run_measure(
        MeasureRequest(
            data=data, labels=labels, category=category, tile=tile, cache_dir=cache_dir,
            scoring=ScoringSettings(localizer=settings.localizer, gate=settings.gate),
            cache_limit=int(settings.cache_gb * 1e9),
            **settings.group(ModelChoice, DinoFiles, ProcessorChoice, ReadSettings),
        )
    )  # fmt: skip
