"""Settings of both command lines from, in rising order: defaults, the user's file, the project's, variables, flags."""

import os
import tomllib
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar

from platformdirs import user_config_path
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from descriptions.common.errors import SettingsError, nearest, wanted
from descriptions.common.files import read_text

FILE = "filo-forge.toml"
"""Looked for in the user's configuration folder and in the current one."""

PREFIX = "FILO_FORGE_"
"""Of the variables: `FILO_FORGE_MODEL` sets `model`."""

SECRETS = ("token",)
"""Variables that are no settings, since no file should hold them: `FILO_FORGE_TOKEN` of the server and its clients."""

SETTINGS = {
    "library": "descriptions.common.settings:LibrarySettings",
    "model": "prompt_forge.llm.settings:ModelSettings",
    "generate": "prompt_forge.generation.prepare:GenerateSettings",
    "detector": "detector.settings:DetectorSettings",
}
"""Tables the file may have, and where their fields are defined. The names are read only to tell a misspelt variable
from a setting of the other tool."""
SECTIONS = tuple(SETTINGS)

ALIASES = {"llm": "model"}
"""Other names of tables."""

_USUAL = {"api_key": "OPENAI_API_KEY", "base_url": "OPENAI_BASE_URL"}
"""Names that every OpenAI-compatible tool reads."""

S = TypeVar("S", bound=BaseModel)


class LibrarySettings(BaseModel):
    """Table `[library]` of `filo-forge.toml`, for both tools; also `FILO_FORGE_DESCRIPTIONS_DIR`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    descriptions_dir: Annotated[Path, AfterValidator(Path.expanduser)] | None = None
    """Folder of description files, where `--descriptions-dir` is not typed."""


def load(
    settings: type[S],
    section: str,
    flags: Mapping[str, Any] | None = None,
    given_in: str = "the command line",
    *,
    replaced: Collection[str] = (),
) -> S:
    """The settings of one section.

    Args:
        settings: frozen pydantic model of the section.
        section: one of `SECTIONS`.
        flags: from the command line; None values are flags that were not given.
        given_in: where the flags stand, for the message about a wrong one.
        replaced: fields that files and variables do not set this time, since a flag says all that they say together.

    Raises:
        SettingsError: a file that cannot be read, a name or value that makes no sense, a variable that is no setting.
    """
    known = list(settings.model_fields)
    _refuse_misspelt(known)
    layers = {f"[{section}] of {path}": _table(path, section, known) for path in _files()}
    layers["a variable"] = _variables(known)
    layers = {place: {n: v for n, v in layer.items() if n not in replaced} for place, layer in layers.items()}
    layers[given_in] = {name: value for name, value in (flags or {}).items() if value is not None}
    values = {name: value for layer in layers.values() for name, value in layer.items()}
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        raise _wrong(error, layers) from None


def _files() -> tuple[Path, Path]:
    return user_config_path("filo-forge") / FILE, Path(FILE)


def _wrong(error: ValidationError, layers: Mapping[str, Mapping[str, Any]]) -> SettingsError:
    """What was set where. The value of a key is never shown."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = str(first["loc"][0])
    where = next(name for name, layer in reversed(list(layers.items())) if field in layer)
    value = "" if "key" in field else f" = {first['input']!r}"
    return SettingsError(f"setting {field}{value}", expected=wanted(first["msg"]), hint=f"set in {where}")


def _table(path: Path, section: str, known: list[str]) -> dict[str, Any]:
    try:
        document = tomllib.loads(read_text(path)) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read ({error})", expected="a TOML file") from None
    for name in document.keys() - set(SECTIONS) - set(ALIASES):
        raise SettingsError(f"{path}: unknown table [{name}]", hint=nearest(name, list(SECTIONS)))
    table: dict[str, Any] = {}
    for title in (section, *(alias for alias, table_name in ALIASES.items() if table_name == section)):
        entries = document.get(title, {})
        if not isinstance(entries, dict):
            raise SettingsError(f"{path}: {title} is no table", expected=f"[{title}]")
        table |= entries
    for name in table.keys() - set(known):
        raise SettingsError(
            f"{path}: unknown key {name} in [{section}]", hint=nearest(name, known) or f"known: {', '.join(known)}"
        )
    return table


def _variables(known: list[str]) -> dict[str, str]:
    names = {field: (PREFIX + field.upper(), _USUAL.get(field, "")) for field in known}
    values = {field: next((os.environ[n] for n in pair if os.environ.get(n)), "") for field, pair in names.items()}
    return {field: value for field, value in values.items() if value}


def _refuse_misspelt(known: list[str]) -> None:
    """A variable of ours that sets nothing would be believed to set something."""
    unknown = {name for name, value in os.environ.items() if value and name.startswith(PREFIX)}
    fields = {*known, *SECRETS}
    unknown -= {PREFIX + field.upper() for field in fields}
    for place in SETTINGS.values() if unknown else ():
        module, _, name = place.partition(":")
        fields |= set(getattr(import_module(module), name).model_fields)
    if wrong := sorted(unknown - {PREFIX + field.upper() for field in fields}):
        near = nearest(wrong[0].removeprefix(PREFIX), sorted(field.upper() for field in fields))
        raise SettingsError(
            f"the variable {wrong[0]} sets nothing",
            expected=f"{PREFIX} and the name of a setting",
            hint=near.replace("mean ", f"mean {PREFIX}") or "unset it",
        )
