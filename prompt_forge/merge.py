"""Near-duplicates: told apart within one answer, clustered and counted across the models of an ensemble."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from prompt_forge.filter import stem, words
from prompt_forge.parse import Candidate

NEAR = 0.7
"""Phrases that share this much of their content words (Jaccard) mean the same."""

_SAME = {
    "tiny": "small",
    "little": "small",
    "minor": "small",
    "big": "large",
    "huge": "large",
    "colour": "color",
    "grey": "gray",
}


class Merged(NamedTuple):
    """One cluster of near-duplicates."""

    candidate: Candidate
    """Its first member, in the order of the models."""
    support: int
    """How many models proposed a member."""


def likeness(one: str, other: str) -> float:
    """Share of content words two phrases have in common, in [0, 1]; word order does not matter."""
    left, right = _signature(one), _signature(other)
    return len(left & right) / len(left | right) if left | right else 1.0


def _signature(text: str) -> frozenset[str]:
    return frozenset(stem(_SAME.get(word, word)) for word in words(text))


def is_near(text: str, others: Iterable[str]) -> bool:
    """Whether `text` means the same as one of `others`."""
    return any(likeness(text, other) >= NEAR for other in others)


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
