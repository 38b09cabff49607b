"""Changes to a version that are not saved yet: a list of steps, which stands in the address.

`do=off~crack-1&do=text~dent-2~pressed-in dent` says everything, so that every state has a link, a reload loses
nothing, and undo is the same list without its last step.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from descriptions.common.errors import wanted
from descriptions.common.refs import slug
from descriptions.format.schema import Anomaly, DescriptionFile
from detector.serve.errors import ServeError

MAX_STEPS = 200
"""Steps of one address."""


class Step(NamedTuple):
    """One change."""

    kind: str
    id: str
    value: str = ""

    def __str__(self) -> str:
        return "~".join(part for part in self if part)

    @classmethod
    def read(cls, text: str) -> "Step":
        """A step as it stands in an address.

        Raises:
            ServeError: no step.
        """
        kind, _, rest = text.partition("~")
        if kind == "add":
            return cls(kind, "", rest)
        name, _, value = rest.partition("~")
        if kind not in CHANGES:
            raise ServeError(f"step {kind[:40]!r}", expected=f"one of: add, {', '.join(CHANGES)}")
        return cls(kind, name, value)


CHANGES: dict[str, Callable[[str], dict[str, object]]] = {
    "on": lambda _: {"enabled": True},
    "off": lambda _: {"enabled": False},
    "lock": lambda _: {"locked": True},
    "unlock": lambda _: {"locked": False},
    "accept": lambda _: {"enabled": True, "decided": True},
    "reject": lambda _: {"enabled": False, "decided": True},
    "text": lambda value: {"text": value, "source": "human", "decided": True},
    "note": lambda value: {"note": value},
}
"""What a step changes in its phrase."""


class Draft(NamedTuple):
    """A version and the steps made since."""

    base: DescriptionFile
    steps: tuple[Step, ...]
    description: DescriptionFile
    """With all steps made."""

    @classmethod
    def made(cls, base: DescriptionFile, steps: Sequence[Step]) -> "Draft":
        """Make the steps.

        Raises:
            ServeError: a step that cannot be made.
        """
        if len(steps) > MAX_STEPS:
            raise ServeError(
                f"{len(steps)} changes", expected=f"at most {MAX_STEPS}", hint="save, and go on from there"
            )
        entries = list(base.anomalies)
        for step in steps:
            _make(step, entries)
        description = base.revised(anomalies=tuple(entries)) if steps else base
        return cls(base, tuple(steps), description)

    def changed(self, entry: Anomaly) -> bool:
        """Whether a phrase differs from that of the version."""
        return entry not in self.base.anomalies


def _make(step: Step, entries: list[Anomaly]) -> None:
    ids = [entry.id for entry in entries]
    try:
        if step.kind == "add":
            entries.append(Anomaly(id=fresh_id(step.value, ids), text=step.value.strip(), decided=True))
            return
        if step.id not in ids:
            raise ServeError(
                f"no phrase {step.id[:80]!r} to change", hint="the version may have changed; reload the page"
            )
        place = ids.index(step.id)
        old = entries[place]
        entries[place] = Anomaly.model_validate(old.model_dump() | CHANGES[step.kind](step.value.strip()))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ServeError(f"{step.kind} {step.value[:80]!r}", expected=wanted(first["msg"])) from error


def fresh_id(text: str, taken: Sequence[str]) -> str:
    """A name for a new phrase, made of its words."""
    name = "-".join(slug(text).split("_"))[:40].strip("-") or "phrase"
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
