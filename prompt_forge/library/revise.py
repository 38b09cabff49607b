"""How a new version follows from an old one: lineage, time, and who wrote which text."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from descriptions.common.refs import DEFAULT
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store


def successor(parent: DescriptionFile, changed: DescriptionFile | None = None, **changes: Any) -> DescriptionFile:
    """A version made from `parent`, now.

    Args:
        parent: the version it is made from.
        changed: what it holds (default: the same as `parent`).
        changes: fields to replace.

    Raises:
        pydantic.ValidationError: a change breaks the schema.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    unsigned = {"reviewer": None, "change": "", "improvement": None}  # what its parent says of itself
    return (changed or parent).revised(**{"parent": parent.version, "created": now, **unsigned, **changes})


def save_beside(origin: Store, folder: Path | None, description: DescriptionFile) -> DescriptionFile:
    """Save a successor where commands may write.

    Args:
        origin: the library its parent was read from.
        folder: the value of `--descriptions-dir`.
        description: the successor. Its parent is forgotten when it came from the packaged library, because numbers
            only mean something within one library.
    """
    target = Store.open(folder, writable=True)
    home = origin.home(description.category)
    return target.save(description if target.root == home.root else description.revised(parent=None))


def remind(folder: Path | None, saved: DescriptionFile, say: Callable[[str], None]) -> None:
    """Say so where a bare name does not mean the version just saved, because the label `default` holds another.

    Args:
        folder: the value of `--descriptions-dir`.
        saved: the version.
        say: shows one line.
    """
    target = Store.open(folder, writable=True).resolve(saved.category)
    if target.version != saved.version:
        say(f"{saved.category} alone still means {target}; to change that: prompt-forge label {saved.ref} {DEFAULT}")


def by_a_person(before: DescriptionFile, after: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """Entries of `after`, where every text that a person wrote or changed says so."""
    texts = {entry.id: entry.text for entry in before.anomalies}
    return tuple(
        entry if texts.get(entry.id) == entry.text else entry.model_copy(update={"source": "human"}) for entry in after
    )
