"""`prompt-forge doctor`: is everything there, and what to type when not."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from prompt_forge.cli.options import AsJson

if TYPE_CHECKING:
    from prompt_forge.llm.health import Finding


def doctor(
    model: Annotated[str | None, typer.Option(help="Model to look for, as `generate` takes it.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Endpoint to look at, as `generate` takes it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the embedded model and the configured endpoint; exits with 1 when something is missing.

    `unclear` means that only a real request would tell: the endpoint is there, but does not list the model.

    Example: `prompt-forge doctor`

    Example: `prompt-forge doctor --base-url http://localhost:11434/v1 --model qwen2.5:14b`
    """
    from descriptions.common.settings import load
    from prompt_forge.llm.health import examine
    from prompt_forge.llm.settings import ModelSettings

    findings = examine(load(ModelSettings, "model", {"model": model, "base_url": base_url}))
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in findings], ensure_ascii=False))
    else:
        for finding in findings:
            typer.echo(_line(finding))
    if not all(finding.state != "missing" for finding in findings):
        raise typer.Exit(1)


def _line(finding: "Finding") -> str:
    from descriptions.common.terminal import printable

    return printable(f"{finding.state:<7}  {finding.what}: {finding.detail}")
