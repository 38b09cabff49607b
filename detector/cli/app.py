"""Entry point of `detector`: wires the command groups together and nothing else."""

from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from descriptions.common.terminal import run, show_version
from detector.cli import data, data_boxes, detect, doctor, export, import_checkpoint, references, serve, train, watch
from detector.cli import eval as eval_command


class _WithSettings(TyperGroup):
    """Options that are not typed come from the settings; `--help` shows the built-in ones."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # click's types, which some typers bring themselves
        if "--help" not in args:
            from detector.settings import COMMANDS, option_defaults  # pydantic costs --help a tenth of a second

            ctx.default_map = option_defaults(args) if args[0] in (*COMMANDS, "references") else None
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_WithSettings,
    name="detector",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Example: `detector detect photos/ --category capsule`",
    help="Find defects on products never seen before, guided by description files.",
)


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keeps `detector COMMAND` a group however many commands there are."""


app.command()(detect.detect)
app.command()(doctor.doctor)
app.command()(export.export)
app.add_typer(data.app, name="data")
app.add_typer(references.app, name="references")
app.command("eval")(eval_command.evaluate)
data.app.command()(data_boxes.boxes)
app.command()(serve.serve)
app.command()(train.train)
app.command()(watch.watch)
app.command("import-checkpoint")(import_checkpoint.import_checkpoint)


def main() -> NoReturn:
    """Console script."""
    run(app, standalone_mode=False)
