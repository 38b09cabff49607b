"""`prompt-forge templates`: which questions there are, and how to bring your own."""

from pathlib import Path
from typing import Annotated

import typer

from prompt_forge.cli.options import AsJson
from prompt_forge.console import print_json, print_line, print_table

templates = typer.Typer(
    name="templates",
    no_args_is_help=True,
    help="List, show, copy and check prompt templates.",
    epilog="Example: `prompt-forge templates new gears --like structured`",
)


@templates.command("list")
def list_templates(as_json: AsJson = False) -> None:
    """List the templates and where each comes from.

    Example: `prompt-forge templates list`
    """
    from prompt_forge.templating.templates import Templates

    templates_found = list(Templates.find())
    if as_json:
        full = [
            {
                **one.front.model_dump(exclude={"families"}),
                "layer": one.layer,
                "path": str(one.path),
                "sha256": one.sha256,
            }
            for one in templates_found
        ]
        print_json(full)
        return
    rows = [(one.id, one.layer, one.front.answer, one.front.purpose) for one in templates_found]
    print_table(("template", "from", "answer", "purpose"), rows)


@templates.command()
def show(
    name: Annotated[str, typer.Argument(help="See `templates list`.", metavar="NAME")], as_json: AsJson = False
) -> None:
    """Print a template as it is.

    Example: `prompt-forge templates show structured`
    """
    from descriptions.common.files import read_text
    from descriptions.common.terminal import printable
    from prompt_forge.templating.templates import Templates

    template = Templates.find().get(name)
    if as_json:
        head = template.front.model_dump()
        print_json({**head, "body": template.body, "sha256": template.sha256})
    else:
        typer.echo(printable(read_text(template.path)), nl=False)


@templates.command()
def new(
    name: Annotated[str, typer.Argument(help="What the copy is called.", metavar="NAME")],
    like: Annotated[str, typer.Option(help="Template to start from.")] = "structured",
    folder: Annotated[Path, typer.Option("--dir", help="Where it goes.")] = Path("templates"),
) -> None:
    """Copy a template under a new name, to be changed.

    Example: `prompt-forge templates new gears --like structured`
    """
    from prompt_forge.templating.templates import copy_template

    path = copy_template(like, name, folder)
    print_line(f"wrote {path}; change it, then: prompt-forge templates check {path}")


@templates.command()
def check(paths: Annotated[list[Path] | None, typer.Argument(help="Files; all templates by default.")] = None) -> None:
    """Read and render templates with sample values; exit 1 when one is wrong.

    Example: `prompt-forge templates check templates/gears.j2`
    """
    from descriptions.common.errors import ForgeError
    from prompt_forge.templating.templates import Templates, read
    from prompt_forge.templating.templates import check as render

    wrong = 0
    for path in paths or [path for _, path in Templates.find().paths.values()]:
        try:
            turns = render(read(path))
            print_line(f"ok {path} ({len(turns)} turns)")
        except ForgeError as error:
            wrong += 1
            print_line(f"wrong {error}")
    if wrong:
        raise typer.Exit(1)
