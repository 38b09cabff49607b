"""New versions from people and programs: checked, signed, and never over another."""

from collections import Counter
from datetime import UTC, datetime
from typing import NamedTuple

from descriptions.diff import diff
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.lint import Context, Finding, lint
from descriptions.store import Store
from detector.serve.service import Service
from detector.serve.settings import ServeSettings


class Saved(NamedTuple):
    """A version that was saved."""

    description: DescriptionFile
    newer: tuple[int, ...]
    """Versions newer than the parent: nothing of them is part of this one."""


def findings(description: DescriptionFile, service: Service) -> list[Finding]:
    """What lint says, with the words that the served model cannot read.

    Args:
        description: any.
        service: whose model reads it.
    """
    return lint(description, Context(model=service.settings.model, readable=service.known_tokens))


def save(settings: ServeSettings, changed: DescriptionFile, parent: DescriptionFile | None, reviewer: str) -> Saved:
    """Save a version under the next free number.

    Args:
        settings: which library.
        changed: what the version holds.
        parent: version it was made from.
        reviewer: who signs it; may be empty.

    Raises:
        ReadOnlyLibraryError: the library cannot be written to.
    """
    target = Store.open(settings.descriptions_dir, writable=True)
    home = Store.open(settings.descriptions_dir).home(changed.category)
    before = target.versions(changed.category)
    own = parent is not None and target.root == home.root  # numbers mean something within one library only
    saved = target.save(
        changed.revised(
            parent=parent.version if own and parent else None,
            created=datetime.now(UTC).replace(microsecond=0),
            reviewer=reviewer or None,
            change=summary(parent, changed) if parent else "",
        )
    )
    later = [version for version in before if own and parent and version > parent.version]
    return Saved(saved, tuple(later))


def summary(before: DescriptionFile, after: DescriptionFile) -> str:
    """What changed, in one line for people."""
    old = {entry.id: entry for entry in before.anomalies}
    words: Counter[str] = Counter()
    for entry in after.anomalies:
        words.update(_kinds(old.get(entry.id), entry))
    words["removed"] = len(old.keys() - {entry.id for entry in after.anomalies})
    counted = [f"{count} {word}" for word, count in words.items() if count]
    fields = [change.where for change in diff(before, after).changes if not change.where.startswith("anomalies")]
    return ", ".join([*counted, *(f"{name} changed" for name in fields)]) or "nothing"


def _kinds(before: Anomaly | None, after: Anomaly) -> list[str]:
    if before is None:
        return ["added"]
    kinds = []
    if before.enabled != after.enabled:
        kinds.append("switched on" if after.enabled else "switched off")
    if before.text != after.text:
        kinds.append("reworded")
    if before.locked != after.locked:
        kinds.append("locked" if after.locked else "unlocked")
    if before.note != after.note:
        kinds.append("noted")
    return kinds
