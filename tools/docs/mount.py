"""MkDocs hook: pages that live beside what they describe become part of the site, and links to them keep working.

In the repository a page links to files, as `../descriptions/README.md`; such links must lead somewhere both there and
on the site, where only `docs/` exists.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent.parent
MOUNTED = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "descriptions/README.md",
    "detector/presets/mini/MODEL_CARD.md",
)
"""Pages from outside `docs/`, by their path in the repository; on the site they lie under `project/`."""

_LINK = re.compile(r"(\]\()((?!https?:|mailto:|#)[^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every decision into the menu."""
    pages = sorted(
        path.relative_to(config.docs_dir).as_posix() for path in Path(config.docs_dir, "decisions").glob("*.md")
    )
    config.nav = [{"Decisions": pages} if entry == {"Decisions": "decisions"} else entry for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the mounted pages."""
    for name in MOUNTED:
        files.append(File.generated(config, f"project/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links between repository files into links between pages; others stay, and a strict build reports them."""
    here = page.file.src_uri
    return _LINK.sub(lambda link: link[1] + relocated(link[2], here), markdown)


def relocated(target: str, page: str) -> str:
    """A link of a page, as it must read on the site.

    Args:
        target: as written, relative to where the page lies in the repository.
        page: the page's path on the site.
    """
    goal = posixpath.normpath(posixpath.join(posixpath.dirname(_in_repository(page)), target))
    if goal in MOUNTED:
        goal = f"project/{goal}"
    elif goal.startswith("docs/"):
        goal = goal.removeprefix("docs/")
    else:
        return target
    return posixpath.relpath(goal, posixpath.dirname(page) or ".")


def _in_repository(page: str) -> str:
    return page.removeprefix("project/") if page.startswith("project/") else f"docs/{page}"
