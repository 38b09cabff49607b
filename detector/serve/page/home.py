"""What the first page lists: products, versions, labels, data and the last evaluations."""

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from descriptions.common.errors import ForgeError
from descriptions.common.refs import Ref
from detector.runs.record import RECORD, read_run
from detector.serve.page.state import Page

MOST_RUNS = 12
"""Evaluations that are listed."""


class Row(NamedTuple):
    """One product."""

    category: str
    object_name: str
    versions: list[int]
    labels: dict[str, int]
    meant: int
    """Version that a bare name means."""
    enabled: int
    photos: int
    problem: str


def categories(page: Page) -> list[Row]:
    """All products of the library, those with photos first."""
    rows = [_row(page, name) for name in page.service.store.readable()]
    return sorted(rows, key=lambda row: (-min(row.photos, 1), row.category))


def _row(page: Page, name: str) -> Row:
    store = page.service.store
    try:
        meant = store.resolve(Ref(name))
        description = store.load(meant)
        labels = {label: number for label, number in store.labels(name).items() if label != "latest"}
        photos = len(page.album(name).photos) if page.albums.data or page.service.settings.category == name else 0
        return Row(
            name, description.object_name, store.versions(name), labels, int(meant.version),
            len(description.enabled_texts), photos, "",
        )  # fmt: skip
    except ForgeError as error:  # one broken file must not hide the others
        return Row(name, "", [], {}, 0, 0, 0, str(error))


def evaluations(page: Page) -> list[dict[str, Any]]:
    """The last runs of `detector eval` below `--runs`, newest first."""
    folder = page.service.settings.runs
    if folder is None:
        return []
    runs = []
    for record in _records(folder):
        about = read_run(record.parent)
        if about and about.get("kind") == "eval":
            report = record.parent / "report.html"
            runs.append({"folder": record.parent.name, "status": about.get("status"), "started": about.get("started"),
                         "thresholds": about.get("thresholds") or {}, "report": report.is_file()})  # fmt: skip
    return sorted(runs, key=lambda run: str(run["started"]), reverse=True)[:MOST_RUNS]


def _records(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path / RECORD for path in (folder, *folder.iterdir()) if (path / RECORD).is_file()]
    return []


def report(page: Page, name: str) -> Path | None:
    """The report of an evaluation below `--runs`, by the name of its folder."""
    folder = page.service.settings.runs
    if folder is None:
        return None
    known = {record.parent.name: record.parent / "report.html" for record in _records(folder)}
    path = known.get(name)
    return path if path is not None and path.is_file() else None
