"""Arguments and options that several commands share, each declared once.

An option that the settings can set is None where it is not typed. `detector.settings.read_settings` then finds its
value, and `SettingsCommand` shows its default in `--help`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from detector import defaults
from detector.defaults import GateName, LocalizerName, RuntimeName, TableForm

DATA_PANEL = "Data and descriptions"
_MODEL, _IMAGES, _WHERE = "The model", "How images are read", "Where it runs"


class SettingsCommand(TyperCommand):
    """A command whose `--help` shows what the options are that neither the command line nor the settings give."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # click's types, which some typers bring themselves
        """Write the help, with the defaults."""
        ctx.default_map = {param.name: shown_default(param) for param in self.params}
        super().format_help(ctx, formatter)


def shown_default(param: Any) -> Any:
    """What `--help` shows as the default of a parameter."""
    return defaults.SHOWN.get(param.name) if param.default is None else param.default


def _batch_size(text: str | None) -> str | None:
    """What was typed, if it makes sense; the settings would name it by another word."""
    if text is not None:
        from detector.device import parse_batch_size

        parse_batch_size(text)
    return text


Photos = Annotated[list[str], typer.Argument(help="Files, folders, globs, or - for a list.", show_default=False)]
Ref = Annotated[str, typer.Option("--category", help="capsule, capsule@2 or capsule@reviewed.", show_default=False)]
Categories = Annotated[
    list[str] | None,
    typer.Option("--category", help="Only this category; may be repeated.", rich_help_panel=DATA_PANEL),
]
LabelledData = Annotated[
    Path | None,
    typer.Option("--data", help="Data set, or with --labels photos.", show_default=False, rich_help_panel=DATA_PANEL),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="MARKS",
        help="Marks of `detector serve`: they say which photos are good.",
        rich_help_panel=DATA_PANEL,
    ),
]
Descriptions = Annotated[
    list[str] | None,
    typer.Option(
        "--descriptions",
        help="Version, as capsule@2; else the default. May be repeated.",
        rich_help_panel=DATA_PANEL,
    ),
]
DescriptionsDir = Annotated[
    Path | None, typer.Option("--descriptions-dir", help="Folder of description files.", rich_help_panel=DATA_PANEL)
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FOLDER=DESCRIPTION",
        help="Category of another name; may be repeated.",
        rich_help_panel=DATA_PANEL,
    ),
]

Preset = Annotated[
    str | None, typer.Option("--preset", help="mini (bundled, default) or vitl.", rich_help_panel=_MODEL)
]
Checkpoint = Annotated[
    Path | None, typer.Option("--checkpoint", help="A checkpoint instead of a preset.", rich_help_panel=_MODEL)
]
Pretrained = Annotated[
    str | None,
    typer.Option("--pretrained", help="CLIP weights: an open_clip tag or a file.", rich_help_panel=_MODEL),
]
Localizer = Annotated[
    LocalizerName | None,
    typer.Option("--localizer", help="Who says where the anomaly may be.", rich_help_panel=_MODEL),
]
Gate = Annotated[
    GateName | None,
    typer.Option("--gate", help="What the map is outside the boxes of Grounding DINO.", rich_help_panel=_MODEL),
]
DinoWeights = Annotated[
    Path | None, typer.Option("--dino-weights", help="Grounding DINO checkpoint.", rich_help_panel=_MODEL)
]
DinoText = Annotated[
    str | None,
    typer.Option("--dino-text", help="Folder with BERT's vocab.txt, or a hub name.", rich_help_panel=_MODEL),
]

Tile = Annotated[
    int | None,
    typer.Option("--tile", min=32, help="Cut larger images into square windows of this side.", rich_help_panel=_IMAGES),
]
MaxSize = Annotated[
    int | None,
    typer.Option("--max-size", min=16, help="Shrink larger images to this long side.", rich_help_panel=_IMAGES),
]
Bits = Annotated[
    int | None,
    typer.Option(
        "--bits",
        min=8,
        max=16,
        help="Bits used in 16-bit files; by default found out per folder.",
        rich_help_panel=_IMAGES,
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option("--max-pixels", min=1, help="Refuse larger pictures before decoding them.", rich_help_panel=_IMAGES),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads that read images.", rich_help_panel=_IMAGES)
]

Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_WHERE)]
Precision = Annotated[str | None, typer.Option("--precision", help="auto, fp32, bf16 or fp16.", rich_help_panel=_WHERE)]
Runtime = Annotated[
    RuntimeName | None,
    typer.Option("--runtime", help="What computes the features of images, on the CPU.", rich_help_panel=_WHERE),
]
BatchSize = Annotated[
    str | None,
    typer.Option("--batch-size", help="Images per step, or auto.", rich_help_panel=_WHERE, callback=_batch_size),
]

Form = Annotated[TableForm, typer.Option("--format", help="What goes to stdout.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
