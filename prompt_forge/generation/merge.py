"""The answers of an ensemble: near-duplicates are clustered, and who proposed them is counted."""

from collections.abc import Sequence
from typing import NamedTuple

from descriptions.common.words import is_near
from descriptions.format.schema import Anomaly, DescriptionFile
from prompt_forge.generation.parse import Candidate


class Merged(NamedTuple):
    """One cluster of near-duplicates."""

    candidate: Candidate
    """Its first member, in the order of the models."""
    support: int
    """How many models proposed a member."""


def merge(answers: Sequence[Sequence[Candidate]]) -> list[Merged]:
    """Cluster the candidates of several models.

    Args:
        answers: one list for each model.

    Returns:
        One entry per cluster, those that most models agree on first, otherwise in the order they came.
    """
    clusters: list[tuple[Candidate, set[int]]] = []
    for voter, candidates in enumerate(answers):
        for candidate in candidates:
            near = next((cluster for cluster in clusters if is_near(candidate.text, [cluster[0].text])), None)
            if near:
                near[1].add(voter)
            else:
                clusters.append((candidate, {voter}))
    merged = [Merged(candidate, len(voters)) for candidate, voters in clusters]
    return sorted(merged, key=lambda entry: -entry.support)


def told_support(description: DescriptionFile, entry: Anomaly) -> str:
    """How many models of an ensemble proposed an entry, such as `2 of 3 models`; empty outside an ensemble."""
    if entry.support is None:
        return ""
    models = len(description.provenance.model.split(" + ")) if description.provenance else 0
    of = f" of {models}" if models >= entry.support else ""  # an entry may come from a larger ensemble of before
    return f"{entry.support}{of} model{'s' * (max(models, entry.support) > 1)}"
