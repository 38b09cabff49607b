"""`detector train`: full FiLo training in two stages, resumable at any step."""

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from descriptions.common.extras import require

if TYPE_CHECKING:
    from detector.model.filo import FiLo
    from detector.train.log import Report


class Part(StrEnum):
    """Which images of the data set."""

    TRAIN = "train"
    TEST = "test"
    ALL = "all"


_DATA, _MODEL = "What to learn from", "The model"


def train(
    data: Annotated[Path, typer.Option(help="Annotated data set, in any layout.", rich_help_panel=_DATA)],
    split: Annotated[
        Part,
        typer.Option(help="Images to train on; in the MVTec layout the defects are in `test`.", rich_help_panel=_DATA),
    ],
    out: Annotated[Path, typer.Option(help="Receives checkpoints, metrics and run.json.")],
    category: Annotated[
        list[str] | None, typer.Option(help="Only this one; repeatable.", rich_help_panel=_DATA)
    ] = None,
    descriptions: Annotated[
        list[str] | None, typer.Option(help="Version, as capsule@2; else the default.", rich_help_panel=_DATA)
    ] = None,
    descriptions_dir: Annotated[Path | None, typer.Option(help="Library folder.", rich_help_panel=_DATA)] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FOLDER=DESCRIPTION",
            help="Category of another name; may be repeated.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    eval_data: Annotated[
        Path | None,
        typer.Option(help="What it will be judged on, and must not see.", rich_help_panel=_DATA),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            min=8, max=16, help="Bits used in 16-bit files; by default found out per folder.", rich_help_panel=_DATA
        ),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse larger pictures before decoding them.", rich_help_panel=_DATA)
    ] = 100_000_000,
    preset: Annotated[str | None, typer.Option(help="mini or vitl.", rich_help_panel=_MODEL)] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Start from its weights.", rich_help_panel=_MODEL)] = None,
    pretrained: Annotated[str | None, typer.Option(help="CLIP weights: tag or file.", rich_help_panel=_MODEL)] = None,
    recipe: Annotated[str, typer.Option(help="filo, or filo-released.")] = "filo",
    config: Annotated[Path | None, typer.Option(help="TOML with changes to the recipe.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="One change, as batch_size=4.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes, one a device.", min=1)] = 1,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write events to OUT/tensorboard.")] = False,
) -> None:
    """Train FiLo on annotated images; the model then finds defects on products it has not seen.

    Example: `detector train --data data/visa --split test --out runs/visa`
    """
    from descriptions.store import Store

    require("detector train", "lightning_fabric", *(["tensorboard"] if tensorboard else []))
    from detector.data.material import gather
    from detector.images.load import ReadOptions
    from detector.runs.train import finish, starting_model
    from detector.train.config import training_config
    from detector.train.progress import shown
    from detector.train.session import make_fabric
    from detector.train.tensorboard import FOLDER, board

    chosen = training_config(recipe, config, change or [])
    material = gather(
        data,
        split.value,
        categories=category or (),
        refs=descriptions or (),
        store=Store.open(descriptions_dir),
        eval_data=eval_data,
        names=names or (),
        reading=ReadOptions(bits, max_pixels),
    )

    def build() -> "FiLo":
        return starting_model(preset, checkpoint, pretrained, chosen.variant)

    with ExitStack() as open_now:
        listeners = [open_now.enter_context(shown())]
        if tensorboard:
            listeners.append(open_now.enter_context(board(out / FOLDER)))
        fabric = make_fabric(chosen, device, devices)

        def listener(report: "Report") -> None:
            for each in listeners:
                each(report)

        path = finish(build, material, chosen, out, resume=resume, fabric=fabric, listener=listener)
    if fabric.is_global_zero:
        typer.echo(path)
