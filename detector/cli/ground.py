"""`detector ground` and `detector describe`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from detector.cli import options

References = Annotated[
    list[str] | None,
    typer.Option("--references", help="Good photos that say what is usual: files, folders, globs, or one file."),
]
Rate = Annotated[
    str, typer.Option("--false-alarms", help="Share of good photos on which the answer may be a false alarm.")
]
Form = Annotated[Literal["table", "json"], typer.Option("--format", help="What goes to stdout.")]


def ground(
    image: Annotated[str, typer.Argument(help="One photo.", show_default=False)],
    phrases: Annotated[list[str], typer.Argument(help="What to look for.", show_default=False)],
    category: Annotated[
        str | None, typer.Option(help="Version whose object name and parts are used, such as capsule.")
    ] = None,
    object_name: Annotated[
        str | None, typer.Option("--object", help="The product in words, such as 'metal nut'.")
    ] = None,
    references: References = None,
    false_alarms: Rate = "5%",
    descriptions_dir: options.DescriptionsDir = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    localizer: options.Localizer = None,
    dino_weights: options.DinoWeights = None,
    dino_text: options.DinoText = None,
    out: Annotated[Path | None, typer.Option(help="Folder for one picture per phrase.")] = None,
    form: Form = "table",
    device: options.Device = None,
    precision: options.Precision = None,
    runtime: options.Runtime = None,
) -> None:
    """Say where phrases apply in a photo, and beside good photos whether they apply at all.

    Example: `detector ground photo.png "scratch on the cap" "the left pin" --object capsule --references good/`

    A phrase that starts with "the" names a part of the product, every other phrase a defect.
    """
    from detector.runs.ground import run_ground

    typed = {
        "preset": preset, "checkpoint": checkpoint, "pretrained": pretrained, "localizer": localizer,
        "dino_weights": dino_weights, "dino_text": dino_text, "device": device, "precision": precision,
        "runtime": runtime,
    }  # fmt: skip
    asked = {
        "paths": (image,), "phrases": tuple(phrases), "category": category, "object_name": object_name,
        "references": tuple(references or ()), "false_alarms": false_alarms, "descriptions_dir": descriptions_dir,
        "out": out, "form": form,
    }  # fmt: skip
    raise typer.Exit(run_ground(_request(typed, asked)))


def describe(
    paths: options.Photos,
    category: options.Ref,
    references: References = None,
    false_alarms: Rate = "5%",
    descriptions_dir: options.DescriptionsDir = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    localizer: options.Localizer = None,
    dino_weights: options.DinoWeights = None,
    dino_text: options.DinoText = None,
    form: Form = "table",
    device: options.Device = None,
    precision: options.Precision = None,
    runtime: options.Runtime = None,
) -> None:
    """Describe what photos show in one to three sentences, made of measured facts.

    Example: `detector describe photo.png --category capsule --references good/`
    """
    from detector.runs.ground import run_describe

    typed = {
        "preset": preset, "checkpoint": checkpoint, "pretrained": pretrained, "localizer": localizer,
        "dino_weights": dino_weights, "dino_text": dino_text, "device": device, "precision": precision,
        "runtime": runtime,
    }  # fmt: skip
    asked = {
        "paths": tuple(paths), "category": category, "references": tuple(references or ()),
        "false_alarms": false_alarms, "descriptions_dir": descriptions_dir, "form": form,
    }  # fmt: skip
    raise typer.Exit(run_describe(_request(typed, asked)))


def _request(typed: dict[str, Any], asked: dict[str, Any]) -> Any:
    """The request of one of the two commands, with the settings where nothing was typed."""
    from detector.runs.ground import GroundRequest
    from detector.scoring.predict import ScoringSettings
    from detector.settings import DinoFiles, ModelChoice, ProcessorChoice, ReadSettings, read_settings

    settings = read_settings(**typed)
    groups = settings.group(ModelChoice, DinoFiles, ProcessorChoice, ReadSettings)
    return GroundRequest(settings=ScoringSettings(localizer=settings.localizer), **asked, **groups)
