"""The next version of a description file: what people decided on, then what the models propose, and its origin."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import NamedTuple

from descriptions.common.refs import slug
from descriptions.common.words import is_near
from descriptions.format.schema import (
    MAX_ENTRIES,
    MAX_TEXT,
    NORMAL_STATES,
    Anomaly,
    DescriptionFile,
    Dropped,
    Parameters,
    Provenance,
    Usage,
)
from prompt_forge.generation.catalog import Product
from prompt_forge.generation.filter import copied_example
from prompt_forge.generation.merge import Merged, merge
from prompt_forge.generation.parse import Candidate
from prompt_forge.generation.strategies import Recipe
from prompt_forge.generation.tally import Outcome
from prompt_forge.llm.types import LanguageModel

DIGEST = 16
"""Characters of a request digest that a description file carries."""


class Asker(NamedTuple):
    """A model and how it is asked."""

    model: LanguageModel
    recipe: Recipe


def assemble(
    product: Product,
    askers: Sequence[Asker],
    outcomes: Sequence[Outcome],
    previous: DescriptionFile | None,
    seconds: float,
) -> DescriptionFile:
    """The next version: what people wrote, locked or rejected earlier, then what the models propose now."""
    decided = tuple(entry for entry in previous.anomalies if _is_decided(entry)) if previous else ()
    merged = merge([outcome.candidates for outcome in outcomes])
    fresh, dropped = _fresh(merged, decided)
    limit = min(max(recipe.count for _, recipe in askers), MAX_ENTRIES - len(decided))
    dropped += [
        (entry.candidate.text, f"more than the {max(limit, 0)} that there is room for") for entry in fresh[limit:]
    ]
    description = DescriptionFile(
        category=product.category,
        object_name=product.object_name,
        parent=previous.version if previous else None,
        parts=product.parts,
        normal=tuple(dict.fromkeys((*NORMAL_STATES, *product.normal))),
        anomalies=(*decided, *_entries(fresh[:limit], {one.id for one in decided}, askers)),
        provenance=provenance(askers, outcomes, seconds, dropped),
    )
    return description.revised(normal=previous.normal, abnormal=previous.abnormal) if previous else description


def _fresh(merged: Sequence[Merged], decided: Sequence[Anomaly]) -> tuple[list[Merged], list[tuple[str, str]]]:
    """What is not said by an entry that people decided on, and the text and reason of the others."""
    fresh, dropped = [], []
    for one in merged:
        twin = next((entry for entry in decided if is_near(one.candidate.text, [entry.text])), None)
        if twin is None:
            fresh.append(one)
        else:
            dropped.append((one.candidate.text, f"near-duplicate of {twin.id}, which a person decided on"))
    return fresh, dropped


def _is_decided(entry: Anomaly) -> bool:
    """Whether a person decided on an entry, so that no model may replace it."""
    return entry.locked or not entry.enabled or entry.source == "human"


def _entries(merged: Sequence[Merged], taken: set[str], askers: Sequence[Asker]) -> Iterator[Anomaly]:
    taken, ensemble = set(taken), len(askers) > 1
    families = [recipe.template.front.families for _, recipe in askers]
    examples = [one for known in families for solved in known.values() for one in solved]
    for (text, family, part, _), support in merged:
        name = free_id(Candidate(text, family), taken)
        taken.add(name)
        example = copied_example(text, part, examples)
        yield Anomaly(
            id=name,
            text=text,
            family=family,
            part=part,
            source="llm",
            note=f"wording of the template's example: {example}" if example else "",
            support=support if ensemble else None,
        )


def free_id(candidate: Candidate, taken: set[str]) -> str:
    """`crack-1`, `crack-2`, ...: stable while the text is edited."""
    stem = slug(candidate.family or "anomaly").split("_")[0][:40] or "anomaly"
    number = 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def provenance(
    askers: Sequence[Asker],
    outcomes: Sequence[Outcome] = (),
    seconds: float = 0.0,
    dropped: Sequence[tuple[str, str]] = (),
) -> Provenance:
    """Where a version comes from; without `outcomes`, as far as it is known before anything is asked."""
    rejected = dict.fromkeys([*(one for outcome in outcomes for one in outcome.rejected), *dropped])
    recipes = [recipe for _, recipe in askers]
    requests = dict.fromkeys(digest[:DIGEST] for outcome in outcomes for digest in outcome.requests)
    return Provenance(
        generator=f"prompt-forge {version('filo-forge')}",
        endpoint=_joined(model.endpoint for model, _ in askers),
        model=_joined(model.model for model, _ in askers),
        template=_joined(recipe.template.id for recipe in recipes),
        template_sha256=_joined(recipe.template.sha256 for recipe in recipes),
        parameters=Parameters(
            max_tokens=recipes[0].max_tokens,
            temperature=recipes[0].temperature,
            seed=recipes[0].seed,
            count=recipes[0].count,
        ),
        mode=_joined(outcome.mode for outcome in outcomes) or "text",
        requests=tuple(requests),
        usage=Usage(
            prompt_tokens=sum(outcome.usage.prompt_tokens for outcome in outcomes),
            completion_tokens=sum(outcome.usage.completion_tokens for outcome in outcomes),
        ),
        seconds=seconds,
        left_out=tuple(dict.fromkeys(name for outcome in outcomes for name in outcome.left_out)),
        dropped=tuple(Dropped(text=text[:MAX_TEXT], reason=reason[:MAX_TEXT]) for text, reason in rejected)[
            :MAX_ENTRIES
        ],
    )


def _joined(names: Iterator[str]) -> str:
    return " + ".join(dict.fromkeys(names))
