"""`prompt-forge log`: what was asked and answered."""

import json
from typing import Annotated, Any

import typer

from prompt_forge.cli.options import AsJson


def log(
    last: Annotated[int, typer.Option(min=1, help="How many exchanges, newest last.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the last exchanges with language models; keys are never in there.

    Example: `prompt-forge log --last 3`
    """
    from descriptions.common.settings import load
    from prompt_forge.llm.log import read_log
    from prompt_forge.llm.settings import ModelSettings

    path = load(ModelSettings, "model").log_file
    exchanges = read_log(path, last)
    if as_json:
        typer.echo(json.dumps(exchanges.records, ensure_ascii=False))
    else:
        for record in exchanges.records:
            typer.echo(_line(record))
    if exchanges.damaged:
        typer.echo(f"{path}: {exchanges.damaged} damaged lines left out", err=True)
    if not exchanges.records:
        typer.echo(f"no exchanges yet in {path}", err=True)


def _line(record: dict[str, Any]) -> str:
    from descriptions.common.terminal import printable

    answer = record.get("completion") or {}
    error = record.get("error") or {}
    text = answer.get("text") or f"{error.get('kind', '')}: {error.get('message', '')}"
    tokens = sum((answer.get("usage") or {}).values())
    model = (record.get("request") or {}).get("model", "")
    head = f"{record.get('time', '')}  {model}  {tokens} tokens  "
    return printable(head + " ".join(text.split())[:100])
