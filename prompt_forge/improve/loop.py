"""The loop: measure, propose, measure the proposals together, keep what helps, and compare once on other photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descriptions.common.errors import SettingsError
from descriptions.format.schema import DescriptionFile
from prompt_forge.errors import BudgetError, IncompleteError, ModelError, RejectedAnswerError
from prompt_forge.improve.measuring import Measurer
from prompt_forge.improve.proposals import Proposal, Seen, apply, drops, look
from prompt_forge.improve.statistics import FEWEST, Difference, auroc, compare, level_of_look, split

Propose = Callable[[DescriptionFile, Sequence[Seen], int], Sequence[Proposal]]
"""Further proposals for a version, given what was seen of its phrases and the number of the round."""

PATIENCE = 2
"""Rounds without help after which it stops."""
STEER_LEVEL = 0.2
"""A change is kept where its interval on steer at this level lies above zero; confirm decides in the end."""


class Kept(NamedTuple):
    """A change that was kept, and what it gave on steer."""

    proposal: Proposal
    gain: float
    round: int


@dataclass
class Search:
    """Where the loop is.

    Args:
        start: the version it began with.
        measurer: scores versions.
        propose: asks for more than the measurements say themselves.
        seed: of the split and of the draws.
        say: told what happens, a line at a time.

    Raises:
        SettingsError: too few good or defective photos.
    """

    start: DescriptionFile
    measurer: Measurer
    propose: Propose = lambda *_: ()
    seed: int = 0
    say: Callable[[str], None] = lambda _: None
    kept: list[Kept] = field(default_factory=list)
    rounds: int = 0
    """Rounds that are over."""

    def __post_init__(self) -> None:
        truth = [photo.defective for photo in self.measurer.photos]
        bad, good = sum(truth), len(truth) - sum(truth)
        if min(good, bad) < 2 * FEWEST:
            expected = f"at least {2 * FEWEST} of each: one half to choose on, the other to compare on"
            raise SettingsError(f"{good} good and {bad} defective photos", expected=expected)
        self.defective: NDArray[np.bool_] = np.array(truth)
        self.steer, self.confirm = split(truth, self.seed)
        self.current = self.start

    def run(self, rounds: int) -> None:
        """Go on until so many rounds are over, nothing helped twice, or the budget is used up.

        Raises:
            ModelError: the language model cannot be reached, and nothing was kept before.
            MeasureError: the detector refused, or ended.
        """
        idle = 0
        while self.rounds < rounds and idle < PATIENCE:
            try:
                helped = self._round()
            except ModelError as error:
                if not self.kept and not isinstance(error, BudgetError):
                    raise
                self.say(f"stopped: {error.problem}")  # what was kept until now is compared
                return
            self.rounds += 1
            idle = 0 if helped else idle + 1

    def _round(self) -> bool:
        """Whether anything was kept."""
        (whole,) = self.measurer.measure([self.current], leave_one_out=True)
        seen = look(whole, self.steer, self.defective)
        proposals = [*drops(self.current, seen), *self._proposed(seen)]
        ranked = self._ranked(whole.scores, proposals)
        self.say(
            f"round {self.rounds + 1}: steer {auroc(whole.scores[self.steer], self.defective[self.steer]):.3f}, "
            f"{len(proposals)} proposals, {len(ranked)} help alone"
        )
        if not ranked:
            return False
        return self._keep(whole.scores, ranked)

    def _proposed(self, seen: Sequence[Seen]) -> Sequence[Proposal]:
        """What the language model adds; an answer that is of no use is no reason to stop."""
        try:
            return self.propose(self.current, seen, self.rounds)
        except (IncompleteError, RejectedAnswerError) as error:
            self.say(f"no proposals of the language model: {error.problem}")
            return ()

    def _ranked(self, before: NDArray[np.float64], proposals: Sequence[Proposal]) -> list[Proposal]:
        """Those that help by themselves on steer, the most helpful first."""
        if not proposals:
            return []
        measured = self.measurer.measure([apply(self.current, one) for one in proposals])
        gains = [(self._on_steer(before, after.scores), one) for after, one in zip(measured, proposals, strict=True)]
        return [one for gain, one in sorted(gains, key=lambda pair: -pair[0].value) if gain.is_gain]

    def _keep(self, before: NDArray[np.float64], ranked: Sequence[Proposal]) -> bool:
        """Take the best of: the first change, the first two, the first three, ..."""
        versions, gone, taken = [self.current], set(), []
        for one in ranked:
            if one.target in gone or (len(versions[-1].enabled_texts) < 2 and one.action == "drop"):
                continue
            gone |= {one.target} - {None}
            taken.append(one)
            versions.append(apply(versions[-1], one))
        measured = self.measurer.measure(versions[1:])
        gains = [self._on_steer(before, each.scores).value for each in measured]
        best = int(np.argmax(gains))
        for one in taken[: best + 1]:
            self.kept.append(Kept(one, gains[best], self.rounds + 1))
            self.say(f"  kept: {one}: {one.reason} ({one.source})")
        self.current = versions[best + 1]
        return True

    def _on_steer(self, before: NDArray[np.float64], after: NDArray[np.float64]) -> Difference:
        at = self.steer
        return compare(before[at], after[at], self.defective[at], level=STEER_LEVEL, seed=self.seed)

    def verdict(self, number: int = 1) -> Difference | None:
        """The version against the one it began with, on confirm: look `number` at these photos; None if unchanged."""
        if not self.kept:
            return None
        old, new = self.measurer.measure([self.start, self.current])
        at = self.confirm
        level = level_of_look(number)
        return compare(old.scores[at], new.scores[at], self.defective[at], level=level, seed=self.seed)
