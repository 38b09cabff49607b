"""`detector doctor`."""

from typing import Annotated, Literal

import typer

from detector.cli import options


def doctor(
    descriptions_dir: options.DescriptionsDir = None,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="What goes to stdout.")] = "table",
) -> None:
    """Say what is installed, which weights are where, what works now, and what to type for the rest.

    Example: `detector doctor`

    Exit code 1 when something that the defaults need is missing.
    """
    from detector import console
    from detector.runs.doctor import checks

    lines = list(checks(descriptions_dir))
    if form == "json":
        console.print_json({"checks": [each._asdict() for each in lines]})
    else:
        marks = {"ok": "[green]ok[/]", "missing": "[red]missing[/]", "optional": "[yellow]optional[/]"}
        table = console.table("", "what", "state", "found", "to type")
        for each in lines:
            table.add_row(
                console.safe(each.subject), marks[each.state], console.safe(each.found), console.safe(each.hint)
            )
        console.stdout().print(table)
    raise typer.Exit(1 if any(each.state == "missing" for each in lines) else 0)
