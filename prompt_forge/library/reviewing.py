"""A review: every entry is looked at once, by a person who accepts, rejects, rewrites or locks it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import ValidationError

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.lint import lint
from prompt_forge.generation.merge import told_support

KEYS = "[a]ccept  [r]eject  [e]dit  [o]pen in editor  [l]ock  [s]kip  [b]ack  [n]ew entry  [q]uit"
_ACTIONS = {
    "a": "accept",
    "r": "reject",
    "e": "edit",
    "o": "open",
    "l": "lock",
    "s": "skip",
    "b": "back",
    "n": "new",
    "q": "quit",
}
_SYNONYMS = {"add": "new", "previous": "back", "exit": "quit"}
_CHANGES: dict[str, dict[str, bool]] = {
    "accept": {"enabled": True},
    "reject": {"enabled": False},
    "lock": {"enabled": True, "locked": True},
}
"""What a decision does to the entry."""
_STEPS = {"skip": 1, "back": -1}
"""Entries to go on by without a decision."""

Ask = Callable[[str], str]
"""Shows a question and returns the answer; raises EOFError when there are no more answers."""
Say = Callable[[str], None]
Edit = Callable[[Anomaly], Anomaly | None]
"""Opens an editor on one entry; None when it was left as it was, or could not be read back."""


class Outcome(NamedTuple):
    """What a review came to."""

    description: DescriptionFile
    seen: int
    """Entries decided on in this pass."""
    complete: bool
    """Whether every entry was, now or before."""
    interrupted: bool
    """Whether Ctrl-C ended it; what was decided before counts."""
    refused: tuple[str, ...]
    """What lint calls an error; with one, the version is not `reviewed` however complete the review is."""


@dataclass
class Review:
    """One pass over a version.

    Attributes:
        description: the version under review; entries decided on in an earlier pass are not asked about again.
        ask: where answers come from: a terminal, or a pipe with one answer per line.
        say: where questions and complaints go.
        edit: opens an editor on one entry.
        again: ask about decided entries too.
    """

    description: DescriptionFile
    ask: Ask
    say: Say
    edit: Edit = lambda _: None
    again: bool = False
    _decided: dict[str, Anomaly] = field(default_factory=dict)
    _added: list[Anomaly] = field(default_factory=list)
    _interrupted: bool = False

    def run(self) -> Outcome:
        """Ask about every open entry that is not locked, until done, `q`, Ctrl-C, or no more answers."""
        try:
            self._go_through(self._open(), self._remarks())
        except (EOFError, KeyboardInterrupt) as end:  # wherever it comes, what was decided before counts
            self._interrupted = isinstance(end, KeyboardInterrupt)
        return self._outcome()

    def _go_through(self, entries: list[Anomaly], remarks: dict[str, str]) -> None:
        position = 0
        while position < len(entries):
            entry = self._decided.get(entries[position].id, entries[position])  # as it was left, when coming back
            self._show(entry, f"{position + 1}/{len(entries)}", remarks)
            step = self._decide(entry, first=position == 0)
            if step is None:
                break
            position += step

    def _open(self) -> list[Anomaly]:
        unlocked = [entry for entry in self.description.anomalies if not entry.locked]
        waiting = [entry for entry in unlocked if self.again or not entry.decided]
        done = len(unlocked) - len(waiting)
        if done and waiting:
            self.say(f"going on where the last review stopped: {done} of {len(unlocked)} entries are decided")
        elif done:
            self.say(f"all {done} entries are decided; looking at them again")
            return unlocked
        return waiting

    def _show(self, entry: Anomaly, place: str, remarks: dict[str, str]) -> None:
        state = "" if entry.enabled else "  (off)"
        votes = f"  (proposed by {support})" if (support := told_support(self.description, entry)) else ""
        remark = f"  {remarks[entry.id]}" if entry.id in remarks else ""
        self.say(f"{place}  {entry.text}{state}{votes}{remark}")

    def _remarks(self) -> dict[str, str]:
        return {finding.entry: f"({finding.rule}: {finding.message})" for finding in reversed(lint(self.description))}

    def _decide(self, entry: Anomaly, *, first: bool) -> int | None:
        """Ask until there is a decision: entries to go on by, or None to stop."""
        while True:
            answer = self.ask(f"{KEYS} > ").strip().lower()
            action = _ACTIONS.get(answer, _SYNONYMS.get(answer, answer))
            if action == "quit":
                return None
            if action not in _ACTIONS.values():
                self.say(f"{answer!r} is none of {', '.join(_ACTIONS)}; nothing was decided")
            elif action == "back" and first:
                self.say("this is the first entry")
            elif action in _STEPS:
                return _STEPS[action]
            elif self._act(action, entry):
                return 1

    def _act(self, action: str, entry: Anomaly) -> bool:
        """Do what was typed; whether the entry is decided now."""
        if action in _CHANGES:
            self._keep(entry, **_CHANGES[action])
        elif action == "edit":
            self._decided[entry.id] = self._asked_for({**entry.model_dump(), "enabled": True})
        elif action == "new":
            self._add()
            return False
        elif (edited := self.edit(entry)) is not None:
            self._keep(edited, source="human")
        else:
            return False
        return True

    def _keep(self, entry: Anomaly, **changes: object) -> None:
        self._decided[entry.id] = entry.model_copy(update={**changes, "decided": True})

    def _add(self) -> None:
        known = {entry.id for entry in (*self.description.anomalies, *self._added)}
        number = next(number for number in range(1, len(known) + 2) if f"added-{number}" not in known)
        self._added.append(self._asked_for({"id": f"added-{number}"}))
        self.say(f"added: {self._added[-1].text}")

    def _asked_for(self, values: dict[str, object]) -> Anomaly:
        """An entry with a text that a person types, asked for until it can be one."""
        while True:
            text = self.ask("new text > ").strip()
            try:
                return Anomaly.model_validate({**values, "text": text, "source": "human", "decided": True})
            except ValidationError as error:
                self.say(error.errors()[0]["msg"].removeprefix("Value error, "))

    def _outcome(self) -> Outcome:
        entries = (*(self._decided.get(entry.id, entry) for entry in self.description.anomalies), *self._added)
        complete = all(entry.decided or entry.locked for entry in entries)
        errors = [one for one in lint(self.description.revised(anomalies=entries)) if one.level == "error"]
        open_again = {one.entry for one in errors}  # the next review asks about them
        entries = tuple(e.model_copy(update={"decided": False}) if e.id in open_again else e for e in entries)
        status = "draft" if complete and errors else "reviewed" if complete else self.description.status
        changed = self.description.revised(anomalies=entries, status=status)
        refused = tuple(f"{one.entry}: {one.message}".removeprefix(": ") for one in errors)
        return Outcome(changed, len(self._decided) + len(self._added), complete, self._interrupted, refused)
