"""Templates: everything is escaped, and nothing is fetched from elsewhere."""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from descriptions.common.terminal import printable
from detector.console import encodable
from detector.serve.errors import MissingError

STATIC = {
    "base.css": ("detector.report", "templates/style.css", "text/css; charset=utf-8"),
    "page.css": ("detector.serve.page", "static/page.css", "text/css; charset=utf-8"),
    "page.js": ("detector.serve.page", "static/page.js", "text/javascript; charset=utf-8"),
    "htmx.min.js": ("detector.serve.page", "static/htmx.min.js", "text/javascript; charset=utf-8"),
    "htmx.LICENSE.txt": ("detector.serve.page", "static/htmx.LICENSE.txt", "text/plain; charset=utf-8"),
}
"""Package, file and type of everything that the page loads, by its name in an address."""


def render(template: str, /, status: int = 200, **values: Any) -> HTMLResponse:
    """A page or a part of one."""
    return HTMLResponse(_environment().get_template(template).render(**values), status)


@cache
def static(name: str) -> tuple[bytes, str]:
    """A file of the package and its type.

    Raises:
        MissingError: there is none.
    """
    if name not in STATIC:
        raise MissingError(f"no file {name[:80]!r}")
    package, path, kind = STATIC[name]
    return (files(package) / path).read_bytes(), kind


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("detector.serve.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    environment.filters["signed"] = lambda value: f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
    return environment


def _plain(value: object) -> object:
    """Text without control characters and half characters."""
    return value if isinstance(value, Markup | int | float) else printable(encodable(str(value)))
