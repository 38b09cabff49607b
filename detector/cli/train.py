"""`detector train`: full FiLo training in two stages, resumable at any step."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from descriptions.common.extras import require
from detector import defaults
from detector.cli import options

if TYPE_CHECKING:
    from detector.model.filo import FiLo
    from detector.train.log import Report


class Part(StrEnum):
    """Which images of the data set."""

    TRAIN = "train"
    TEST = "test"
    ALL = "all"


def train(
    data: Annotated[Path, typer.Option(help="Annotated data set, in any layout.", rich_help_panel=options.DATA_PANEL)],
    split: Annotated[
        Part,
        typer.Option(
            help="Images to train on; in the MVTec layout the defects are in `test`.",
            rich_help_panel=options.DATA_PANEL,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Receives checkpoints, metrics and run.json.")],
    category: options.Categories = None,
    descriptions: options.Descriptions = None,
    descriptions_dir: options.DescriptionsDir = None,
    names: options.Names = None,
    eval_data: Annotated[
        Path | None,
        typer.Option(help="What it will be judged on, and must not see.", rich_help_panel=options.DATA_PANEL),
    ] = None,
    bits: options.Bits = None,
    max_pixels: options.MaxPixels = None,
    preset: options.Preset = None,
    checkpoint: options.Checkpoint = None,
    pretrained: options.Pretrained = None,
    recipe: Annotated[str, typer.Option(help="filo, or filo-released.")] = "filo",
    config: Annotated[Path | None, typer.Option(help="TOML with changes to the recipe.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="One change, as batch_size=4.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    device: options.Device = None,
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
    from detector.runs.train import create_starting_model, finish
    from detector.settings import ModelChoice, read_settings
    from detector.train.config import training_config
    from detector.train.session import TrainingRun, create_fabric
    from detector.train.tensorboard import FOLDER

    device = read_settings(device=device).device  # what a model learns from is typed
    model = ModelChoice(preset=preset, checkpoint=checkpoint, pretrained=pretrained)
    recipe_config = training_config(recipe, config, change or [])
    material = gather(
        data,
        split.value,
        categories=category or (),
        refs=descriptions or (),
        store=Store.open(descriptions_dir),
        eval_data=eval_data,
        names=names or (),
        reading=ReadOptions(bits, max_pixels or defaults.MAX_PIXELS),
    )

    def build() -> "FiLo":
        return create_starting_model(model, recipe_config.variant)

    fabric = create_fabric(recipe_config, device, devices)
    with _listening(out / FOLDER if tensorboard else None) as listener:
        path = finish(TrainingRun(build, material, recipe_config, out, resume, fabric, listener))
    if fabric.is_global_zero:
        typer.echo(path)


@contextmanager
def _listening(events: Path | None) -> Iterator["Callable[[Report], None]"]:
    """Whoever is told about every step: the screen, and TensorBoard where it has a folder."""
    from detector.train.progress import shown
    from detector.train.tensorboard import board

    with ExitStack() as open_now:
        listeners = [open_now.enter_context(shown())]
        if events is not None:
            listeners.append(open_now.enter_context(board(events)))

        def listener(report: "Report") -> None:
            for each in listeners:
                each(report)

        yield listener
