"""Where templates and the catalog come from: built-in, then the user's, then the project's; later ones win."""

from pathlib import Path
from typing import NamedTuple

from platformdirs import user_config_path

_PACKAGE = Path(__file__).resolve().parent.parent


class Layer(NamedTuple):
    """A folder of templates and what it is called."""

    name: str
    folder: Path


def layers(project: Path | None = None) -> tuple[Layer, ...]:
    """The folders templates and the catalog are read from; later ones win.

    Args:
        project: the folder a project keeps its templates in; `./templates` by default.
    """
    packaged = _PACKAGE / "_templates"
    built_in = packaged if packaged.is_dir() else _PACKAGE.parent / "templates"
    present = [
        Layer("built-in", built_in),
        Layer("user", user_config_path("filo-forge") / "templates"),
        Layer("project", project or Path("templates")),
    ]
    return tuple(layer for layer in present if layer.name == "built-in" or layer.folder.resolve() != built_in.resolve())
