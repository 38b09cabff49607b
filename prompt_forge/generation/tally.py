"""What a strategy has heard so far: answers, verdicts on phrases, and what it cost."""

from collections.abc import Iterable
from typing import NamedTuple

from descriptions.common.words import is_near
from prompt_forge.errors import IncompleteError
from prompt_forge.generation.filter import Filter
from prompt_forge.generation.parse import Candidate
from prompt_forge.llm.types import Completion, Mode, Request
from prompt_forge.usage import Usage


class Outcome(NamedTuple):
    """What one model proposed for one product."""

    candidates: tuple[Candidate, ...]
    """Accepted, in the order they came."""
    rejected: tuple[tuple[str, str], ...]
    """Text and reason of the others."""
    requests: tuple[str, ...]
    """Digests of everything that was asked."""
    usage: Usage
    """Tokens of all answers, cached ones included."""
    calls: int
    """Answers that were not in the cache."""
    mode: Mode
    """Structured-output mode of the last answer."""
    left_out: tuple[str, ...] = ()
    """What the server refuses of the requests."""


class Tally:
    """Collects completions and verdicts while a strategy runs."""

    def __init__(self, rules: Filter, spare: int = 0) -> None:
        self.rules, self.spare = rules, spare
        self.accepted: list[Candidate] = []
        self.rejected: list[tuple[str, str]] = []
        self.requests: list[str] = []
        self.usage, self.calls = Usage(), 0
        self.mode: Mode = "text"
        self.left_out: dict[str, None] = {}

    def count(self, request: Request, completion: Completion) -> None:
        """Note an answer that was paid for or found in the cache."""
        self.requests.append(completion.request_digest or request.digest)
        self.usage += completion.usage
        self.calls += not completion.cached
        self.mode = completion.mode
        self.left_out.update(dict.fromkeys(completion.left_out))

    def cut_short(self, request: Request, error: IncompleteError) -> None:
        """Note an answer that was paid for and is no answer."""
        self.requests.append(request.digest)
        self.usage += error.usage
        self.calls += 1
        self.rejected.append(("", error.problem))

    def judge(self, candidate: Candidate) -> bool:
        """Accept or reject one candidate."""
        usable = self.usable(candidate)
        if usable:
            self.accepted.append(usable)
        return usable is not None

    def usable(self, candidate: Candidate) -> Candidate | None:
        """The candidate as it may be accepted, or None for one that is rejected, which is noted."""
        trimmed, problem = self.rules.apply(candidate)
        near = (entry.text for entry in self.accepted if is_near(trimmed.text, [entry.text]))
        if not problem and (twin := next(near, None)):
            problem = f"near-duplicate of {twin!r}"
        if problem:
            self.rejected.append((trimmed.text, problem))
        return None if problem else trimmed

    def choose(self, best: Candidate, others: Iterable[Candidate]) -> None:
        """Accept `best`, and note why the `others` are left out."""
        self.accepted.append(best)
        left = dict.fromkeys(other.text for other in others if other.text != best.text)
        self.rejected.extend((text, f"another answer is more specific: {best.text!r}") for text in left)

    def outcome(self, count: int) -> Outcome:
        """The sum of it."""
        over = [(entry.text, f"more than the {count} wanted") for entry in self.accepted[count:]]
        accepted, refused, asked = tuple(self.accepted[:count]), (*self.rejected, *over), tuple(self.requests)
        return Outcome(accepted, refused, asked, self.usage, self.calls, self.mode, tuple(self.left_out))
