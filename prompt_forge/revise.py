"""How a new version follows from an old one: lineage, time, and who wrote which text."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from descriptions.schema import Anomaly, DescriptionFile


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
    return (changed or parent).revised(**{"parent": parent.version, "created": now, **changes})


def by_a_person(before: DescriptionFile, after: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """Entries of `after`, where every text that a person wrote or changed says so."""
    texts = {entry.id: entry.text for entry in before.anomalies}
    return tuple(
        entry if texts.get(entry.id) == entry.text else entry.model_copy(update={"source": "human"}) for entry in after
    )
