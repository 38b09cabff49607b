"""Entry point of `detector`: wires the command groups together and nothing else."""

from typing import NoReturn

import typer

from descriptions.common.terminal import create_app, run
from detector.cli import (
    data,
    data_boxes,
    data_fetch,
    detect,
    doctor,
    export,
    ground,
    import_checkpoint,
    measure,
    options,
    references,
    serve,
    train,
    watch,
)
from detector.cli import eval as eval_command
from detector.cli.start import start_light

app: typer.Typer = create_app(
    typer,
    "detector",
    example="detector detect photos/ --category capsule",
    summary="Find defects on products never seen before, guided by description files.",
)
app.command(cls=options.SettingsCommand)(detect.detect)
app.command(cls=options.SettingsCommand)(ground.describe)
app.command()(doctor.doctor)
app.command(cls=options.SettingsCommand)(export.export)
app.add_typer(data.app, name="data")
app.add_typer(references.app, name="references")
app.command("eval", cls=options.SettingsCommand)(eval_command.evaluate)
app.command(cls=options.SettingsCommand)(measure.measure)
data.app.command()(data_boxes.boxes)
data.app.command()(data_fetch.fetch)
app.command(cls=options.SettingsCommand)(ground.ground)
app.command(cls=options.SettingsCommand)(serve.serve)
app.command(cls=options.SettingsCommand)(train.train)
app.command(cls=options.SettingsCommand)(watch.watch)
app.command("import-checkpoint")(import_checkpoint.import_checkpoint)


def main() -> NoReturn:
    """Console script."""
    start_light()
    run(app, standalone_mode=False)
