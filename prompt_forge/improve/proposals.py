"""What could be changed in a version, and why: read off the measurements, or written by a language model."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descriptions.common.words import is_near
from descriptions.format.schema import Anomaly, DescriptionFile
from prompt_forge.generation.assemble import free_id
from prompt_forge.generation.parse import Candidate
from prompt_forge.improve.measuring import Measured
from prompt_forge.improve.statistics import auroc

Action = Literal["replace", "add", "drop"]


class Proposal(NamedTuple):
    """One change."""

    action: Action
    target: str | None
    """Id of the entry that goes; None for `add`."""
    new: Candidate | None
    """The entry that comes; None for `drop`."""
    reason: str
    source: str
    """`measured`, or the name of the model."""

    def __str__(self) -> str:
        """Such as `drop glare-1`."""
        return " ".join(filter(None, (self.action, self.target, self.new and f"{self.new.text!r}")))


class Seen(NamedTuple):
    """What the measurements say of one phrase on the steer photos."""

    id: str
    contribution: float
    """Image AUROC with it minus without it."""
    on_good: float
    """How much it raises the score of a good photo, on average."""
    on_defective: float
    """The same of a defective photo."""


def look(measured: Measured, steer: NDArray[np.intp], defective: NDArray[np.bool_]) -> list[Seen]:
    """What each phrase does on the steer photos, the most harmful first."""
    truth, scores = defective[steer], measured.scores[steer]
    seen = []
    for name, without in measured.without.items():
        raised = scores - without[steer]
        worth = auroc(scores, truth) - auroc(without[steer], truth)
        seen.append(Seen(name, worth, float(raised[~truth].mean()), float(raised[truth].mean())))
    return sorted(seen, key=lambda one: (one.contribution, one.on_defective - one.on_good))


def drops(description: DescriptionFile, seen: Iterable[Seen]) -> list[Proposal]:
    """The phrases that rank photos worse than their absence; entries that are locked stay, and so does the last one."""
    free = {entry.id for entry in description.anomalies if entry.enabled and not entry.locked}
    if len(description.enabled_texts) < 2:
        return []
    return [
        Proposal("drop", one.id, None, _does(one), "measured")
        for one in seen
        if one.id in free and one.contribution < 0
    ]


def _does(one: Seen) -> str:
    raised = f"raises good photos by {one.on_good:+.4f} and defective ones by {one.on_defective:+.4f}"
    return f"{raised}; image AUROC {one.contribution:+.3f} by it"


def from_model(
    description: DescriptionFile, candidates: Sequence[Candidate], seen: Sequence[Seen], model: str
) -> list[Proposal]:
    """Phrases of a model, each in place of a useless one about the same kind of defect where there is one."""
    known = [entry.text for entry in description.anomalies]
    families = {entry.id: entry.family for entry in description.anomalies if entry.enabled and not entry.locked}
    useless = [one for one in seen if one.contribution <= 0 and one.id in families]
    proposals = []
    for candidate in candidates:
        if is_near(candidate.text, known):
            continue
        known.append(candidate.text)
        old = next((one for one in useless if families[one.id] == candidate.family), None)
        if old is None:
            proposals.append(Proposal("add", None, candidate, f"{candidate.family or 'a look'} put another way", model))
            continue
        useless.remove(old)
        proposals.append(Proposal("replace", old.id, candidate, f"{old.id} {_does(old)}", model))
    return proposals


def apply(description: DescriptionFile, proposal: Proposal, note: str = "") -> DescriptionFile:
    """The description with the change; an entry that goes stays in the file, switched off, with the reason."""
    entries = [
        entry.model_copy(update={"enabled": False, "note": f"improve: {proposal.reason}"})
        if entry.id == proposal.target
        else entry
        for entry in description.anomalies
    ]
    if proposal.new is not None:
        name = free_id(proposal.new, {entry.id for entry in entries})
        text, family, part, _ = proposal.new
        note = note or f"improve: {proposal.reason}"
        entries.append(Anomaly(id=name, text=text, family=family, part=part, source="llm", note=note))
    return description.revised(anomalies=tuple(entries))
