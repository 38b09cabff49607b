"""What changed between two versions, in the words of the format rather than in lines of text."""

from typing import Any, Literal, NamedTuple

from descriptions.format.schema import Anomaly, DescriptionFile

Kind = Literal["added", "removed", "changed", "moved"]

HEADER = ("object_name", "status", "parts", "normal", "abnormal")
"""Fields beside the anomalies that a reader cares about; numbers, dates and provenance always differ."""


class Change(NamedTuple):
    """One difference."""

    kind: Kind
    where: str
    """Field name, or `anomalies.<id>` with the field behind a dot when one of its fields changed."""
    before: Any
    """Value in the old version; None when added."""
    after: Any
    """Value in the new version; None when removed."""


class Diff(NamedTuple):
    """All differences between two versions."""

    old: str
    new: str
    changes: tuple[Change, ...]
    same_content: bool
    """Whether the detector reads the same, so that results carry over."""


def diff(old: DescriptionFile, new: DescriptionFile) -> Diff:
    """Compare two versions: header fields, then anomalies.

    Entries are matched by id; one with a new id but the old text counts as renamed.
    """
    changes = [*_header(old, new), *_anomalies(old, new)]
    return Diff(old.ref, new.ref, tuple(changes), old.content_hash == new.content_hash)


def _header(old: DescriptionFile, new: DescriptionFile) -> list[Change]:
    pairs = ((name, _listed(getattr(old, name)), _listed(getattr(new, name))) for name in HEADER)
    return [Change("changed", name, before, after) for name, before, after in pairs if before != after]


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _anomalies(old: DescriptionFile, new: DescriptionFile) -> list[Change]:
    pairs = _matched(old, new)
    paired = {id(after) for _, after in pairs}
    partnered = {id(before) for before, _ in pairs}
    changes = [change for before, after in pairs for change in _fields(before, after)]
    changes += [Change("added", f"anomalies.{e.id}", None, e.text) for e in new.anomalies if id(e) not in paired]
    changes += [Change("removed", f"anomalies.{e.id}", e.text, None) for e in old.anomalies if id(e) not in partnered]
    return changes + _moves(pairs, old)


def _matched(old: DescriptionFile, new: DescriptionFile) -> list[tuple[Anomaly, Anomaly]]:
    """Entries that are the same in both, in the order of the new version."""
    by_id = {entry.id: entry for entry in old.anomalies}
    new_ids = {entry.id for entry in new.anomalies}
    by_text = {entry.text: entry for entry in old.anomalies if entry.id not in new_ids}
    pairs = []
    for entry in new.anomalies:
        partner = by_id.get(entry.id) or by_text.pop(entry.text, None)
        if partner:
            pairs.append((partner, entry))
    return pairs


def _fields(before: Anomaly, after: Anomaly) -> list[Change]:
    values = ((name, getattr(before, name), getattr(after, name)) for name in Anomaly.model_fields)
    return [Change("changed", f"anomalies.{before.id}.{name}", old, new) for name, old, new in values if old != new]


def _moves(pairs: list[tuple[Anomaly, Anomaly]], old: DescriptionFile) -> list[Change]:
    """One change for the order as a whole; the detector averages, so order never matters to it."""
    now = [before.id for before, _ in pairs]
    was = [entry.id for entry in old.anomalies if entry.id in set(now)]
    return [Change("moved", "anomalies", was, now)] if was != now else []
