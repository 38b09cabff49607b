"""Reference pages of the two command lines, from the typer apps themselves."""

import inspect
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import typer

from detector.cli.options import SettingsCommand, shown_default
from tools.docs.tables import cell, table
from tools.docs.values import words


def page(app: typer.Typer, title: str) -> str:
    """Every command of an app with its help and its options, as Markdown."""
    root: Any = typer.main.get_command(app)
    parts = [f"# {title}", root.help]
    for name, command in _leaves(root.commands, title):
        parts += [f"## {name}", _usage(name, command), inspect.cleandoc(command.help or "")]
        parts += [text for text in _options(command) if text]
    return "\n\n".join(parts) + "\n"


def _leaves(commands: dict[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    """Commands with their full names; groups are opened."""
    for name, command in sorted(commands.items()):
        if inner := getattr(command, "commands", None):
            yield from _leaves(inner, f"{before} {name}")
        else:
            yield f"{before} {name}", command


def _usage(name: str, command: Any) -> str:
    arguments = (_name(one) for one in command.params if one.param_type_name == "argument")
    return f"```text\n{' '.join([name, *arguments])} [OPTIONS]\n```"


def _options(command: Any) -> Iterator[str]:
    """One table for the arguments and one for each panel of options, as --help groups them."""
    hints = _hints(command.callback)
    panels: dict[str, list[list[str]]] = {}
    for one in command.params:
        if one.hidden or one.name == "help":
            continue
        named = one.rich_help_panel or ("Arguments" if one.param_type_name == "argument" else "Options")
        text = cell(one.help or "") + (" **Required.**" if one.required else "")
        panels.setdefault(named, []).append(
            [f"`{_name(one)}`", _value(one, hints[one.name]), text, _default(command, one)]
        )
    for title, rows in sorted(panels.items(), key=lambda pair: pair[0] != "Arguments"):
        yield f"**{title}**\n\n" + table(["", "value", "", "default"], rows)


def _hints(callback: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(inspect.unwrap(callback))


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        word = (parameter.metavar or parameter.name).strip("[].").upper()
        word += "..." if parameter.nargs == -1 else ""
        return word if parameter.required else f"[{word}]"
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def _value(parameter: Any, hint: Any) -> str:
    """What follows the option: nothing after a switch."""
    text = words(hint)
    if text == "true or false":
        return ""
    return text.removeprefix("list of ") + (", repeatable" if parameter.multiple else "")


def _default(command: Any, parameter: Any) -> str:
    value = shown_default(parameter) if isinstance(command, SettingsCommand) else parameter.default
    if value in (None, False, "", (), []) or parameter.required or not parameter.show_default:
        return ""
    value = value.value if isinstance(value, Enum) else value
    if value is True:
        value = parameter.opts[0] if parameter.secondary_opts else "on"
    return f"`{value}`"
