"""Entry point of `prompt-forge`: wires the command groups together and nothing else."""

from typing import NoReturn

import typer

from descriptions.common.terminal import create_app, run
from prompt_forge.cli import (
    doctor,
    edit,
    generate,
    improve,
    library,
    log,
    naming,
    prune,
    review,
    setup,
    show,
    templates,
    transfer,
)

app: typer.Typer = create_app(
    typer,
    "prompt-forge",
    example="prompt-forge generate --category capsule",
    summary="Let a language model describe which anomalies a product can have; keep, edit and version the answer.",
)
app.command()(generate.generate)
app.add_typer(templates.templates)
app.command()(setup.setup)
app.command()(doctor.doctor)
app.command()(log.log)
app.command("list")(library.list_categories)
app.command()(show.show)
app.command()(library.lint)
app.command()(library.diff)
app.command()(library.label)
app.command()(library.rollback)
app.command()(library.schema)
app.command()(naming.copy)
app.command()(naming.rename)
app.command()(edit.edit)
app.command()(review.review)
app.command()(prune.prune)
app.command()(improve.improve)
app.command("import-filo")(transfer.import_filo)
app.command()(transfer.export)


def main() -> NoReturn:
    """Console script."""
    run(app, standalone_mode=False)
