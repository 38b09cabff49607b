"""A review: every entry is looked at once, by a person who accepts, rejects, rewrites or locks it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import ValidationError

from descriptions.lint import lint
from descriptions.schema import Anomaly, DescriptionFile

KEYS = "[a]ccept  [r]eject  [e]dit  [l]ock  [s]kip  [q]uit"

Ask = Callable[[str], str]
"""Shows a question and returns the answer; raises EOFError when there are no more answers."""
Say = Callable[[str], None]


class Outcome(NamedTuple):
    """What a review came to."""

    description: DescriptionFile
    seen: int
    """Entries decided on."""
    complete: bool
    """Whether every entry was; only then is the version `reviewed`."""
    interrupted: bool
    """Whether Ctrl-C ended it; what was decided before counts."""


@dataclass
class Review:
    """One pass over a version.

    Attributes:
        description: the version under review.
        ask: where answers come from: a terminal, or a pipe with one answer a line.
        say: where questions and complaints go.
    """

    description: DescriptionFile
    ask: Ask
    say: Say
    _decided: dict[str, Anomaly] = field(default_factory=dict)
    _interrupted: bool = False

    def run(self) -> Outcome:
        """Ask about every entry that is not locked, until done, `q`, Ctrl-C, or no more answers."""
        entries = [entry for entry in self.description.anomalies if not entry.locked]
        remarks = self._remarks()
        for number, entry in enumerate(entries, 1):
            state = "" if entry.enabled else "  (off)"
            self.say(f"{number}/{len(entries)}  {entry.text}{state}  {remarks.get(entry.id, '')}")
            try:
                if not self._decide(entry):
                    break
            except (EOFError, KeyboardInterrupt) as end:
                self._interrupted = isinstance(end, KeyboardInterrupt)
                break
        return self._outcome(len(entries))

    def _remarks(self) -> dict[str, str]:
        return {finding.entry: f"({finding.rule}: {finding.message})" for finding in reversed(lint(self.description))}

    def _decide(self, entry: Anomaly) -> bool:
        """Ask until there is a decision; False to stop."""
        while True:
            match self.ask(f"{KEYS} > ").strip().lower()[:1]:
                case "a":
                    return self._keep(entry, enabled=True)
                case "r":
                    return self._keep(entry, enabled=False)
                case "l":
                    return self._keep(entry, enabled=True, locked=True)
                case "e":
                    return self._rewrite(entry)
                case "s":
                    return True
                case "q":
                    return False
                case _:
                    self.say("type one of a, r, e, l, s, q")

    def _keep(self, entry: Anomaly, **changes: bool) -> bool:
        self._decided[entry.id] = entry.model_copy(update=changes)
        return True

    def _rewrite(self, entry: Anomaly) -> bool:
        while True:
            text = self.ask("new text > ").strip()
            try:
                rewritten = Anomaly.model_validate(
                    {**entry.model_dump(), "text": text, "source": "human", "enabled": True}
                )
            except ValidationError as error:
                self.say(error.errors()[0]["msg"].removeprefix("Value error, "))
                continue
            self._decided[entry.id] = rewritten
            return True

    def _outcome(self, asked: int) -> Outcome:
        complete = len(self._decided) == asked
        entries = tuple(self._decided.get(entry.id, entry) for entry in self.description.anomalies)
        status = "reviewed" if complete else self.description.status
        reviewed = self.description.revised(anomalies=entries, status=status)
        return Outcome(reviewed, len(self._decided), complete, self._interrupted)
