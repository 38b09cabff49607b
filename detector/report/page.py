"""From values to a page: Jinja templates with escaping on, one base page, one style sheet, one script."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from descriptions.files import staged
from descriptions.terminal import printable
from detector.console import encodable
from detector.evaluate.shown import between, fraction

TEMPLATES = Path(__file__).resolve().parent / "templates"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip
    environment.globals["asset"] = _asset
    environment.filters |= {"fraction": fraction, "between": between}
    return environment


def _asset(name: str) -> Markup:
    """A style sheet or script of ours, to stand inside the page."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _shown(value: Any) -> Any:
    """Text from files and models without control characters; names that are no UTF-8 are spelt out."""
    return printable(encodable(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def write_page(path: Path, template: str, values: Mapping[str, Any]) -> None:
    """Write a page, whole or not at all.

    Args:
        path: target.
        template: file name in `templates/`.
        values: what the template shows.

    Raises:
        OSError: it cannot be written.
    """
    with staged(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as stream:
        for piece in _environment().get_template(template).generate(values):
            stream.write(piece)
