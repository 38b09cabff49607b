"""Templates become pages: everything is escaped, and nothing is fetched from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from descriptions.common.files import staged
from descriptions.common.terminal import printable
from detector.console import encodable


class Fact(NamedTuple):
    """One line of what a reader must know to trust a page."""

    name: str
    value: str


def write_page(path: Path, template: str, values: Mapping[str, Any]) -> None:
    """Write one page, whole or not at all.

    Args:
        path: of the page.
        template: name within `templates/`; it extends `base.html`.
        values: of the template; `title` and `facts` belong to every page.

    Raises:
        OSError: the folder cannot be written to.
    """
    script = _source("page.js")
    shared = {"style": Markup(_source("style.css")), "script": Markup(script), "script_hash": _digest(script)}
    pieces = _environment().get_template(template).generate(**shared, **values)
    with staged(path) as part, part.open("w", encoding="utf-8") as stream:
        stream.writelines(pieces)


def facts(about: Mapping[str, Any]) -> list[Fact]:
    """What is known of a run, in the order it came; entries without a value are left out.

    Args:
        about: name to value; underscores in names become blanks.
    """
    return [
        Fact(_label(name), f"{value:.4f}" if isinstance(value, float) else str(value))
        for name, value in about.items()
        if value is not None
    ]


def plain(value: object) -> str:
    """Text from files, models and people as a page can hold it: no control characters, no half characters."""
    return printable(encodable(str(value)))


def _label(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("detector.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else plain(value),
    )


@cache
def _source(name: str) -> str:
    """A file of `templates/` as it stands: our own style and script, which need no escaping."""
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _digest(script: str) -> str:
    """The hash by which the page's content security policy lets this one script run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
