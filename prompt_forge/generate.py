"""Many products in one run: each is written as soon as it is done, and a rerun does only what is missing.

What is missing is told by the request digests a saved version carries: a version that came from the same questions to
the same model is there already. So a run may be killed at any point, and a file is either whole or absent.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from descriptions.errors import ForgeError, UnknownCategoryError
from descriptions.refs import LATEST, Ref, slug
from descriptions.schema import (
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
from descriptions.store import Store
from descriptions.words import is_near
from prompt_forge.catalog import Product
from prompt_forge.errors import AuthenticationError, BudgetError, LocalModelError, ModelError
from prompt_forge.llm.types import LanguageModel
from prompt_forge.merge import Merged, merge
from prompt_forge.parse import Candidate
from prompt_forge.strategies import Outcome, Recipe, first_requests, propose

Status = Literal["written", "unchanged", "present", "failed"]

_HOPELESS = (AuthenticationError, BudgetError, LocalModelError)
"""Failures that the next product would meet again."""
_DIGEST = 16
"""Characters of a request digest that a description file carries."""


class Asker(NamedTuple):
    """A model and how it is asked."""

    model: LanguageModel
    recipe: Recipe


class Result(BaseModel):
    """What became of one product."""

    model_config = ConfigDict(frozen=True)

    category: str
    status: Status
    """`unchanged`: asked again, with the same result; `present`: not asked, a version of this recipe is there."""
    ref: str | None = None
    path: str | None = None
    entries: int = 0
    enabled: int = 0
    rejected: int = 0
    seconds: float = 0.0
    tokens: int = 0
    """Read and written, cached answers included."""
    calls: int = 0
    """Answers that came from a model and not from the cache."""
    dropped: tuple[Dropped, ...] = ()
    """Entries of the answers that were left out, each with its reason."""
    left_out: tuple[str, ...] = ()
    """Parameters that the server refuses; it was asked without them."""
    error: str | None = None


class Run:
    """One run over any number of products.

    Args:
        askers: the models; several are an ensemble.
        store: where versions go.
        force: ask although a version of this recipe is there.
        tick: told the category and the kind of defect that is about to be asked for.
    """

    def __init__(
        self,
        askers: Sequence[Asker],
        store: Store,
        *,
        force: bool = False,
        tick: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._askers, self._store, self._force, self._tick = tuple(askers), store, force, tick
        self._stop = Event()
        self._why = "interrupted"

    def over(self, products: Sequence[Product], concurrency: int = 1) -> Iterator[Result]:
        """Results as they come, failures included."""
        if concurrency == 1:
            yield from map(self._guarded, products)
            return
        with ThreadPoolExecutor(concurrency) as pool:
            try:
                for done in as_completed([pool.submit(self._guarded, product) for product in products]):
                    yield done.result()
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)

    def _guarded(self, product: Product) -> Result:
        if self._stop.is_set():
            return Result(category=product.category, status="failed", error=f"not tried: {self._why}")
        try:
            return self._describe(product)
        except ForgeError as error:
            if isinstance(error, _HOPELESS):
                self._why = str(error)
                self._stop.set()
            tokens = error.usage.total if isinstance(error, ModelError) else 0
            return Result(category=product.category, status="failed", error=str(error), tokens=tokens)
        except Exception as error:  # whatever it is, it is this product's failure and not the run's
            return Result(category=product.category, status="failed", error=_unforeseen(error))

    def _describe(self, product: Product) -> Result:
        started = perf_counter()
        previous = latest(self._store, product.category)
        asked, product = product, product.after(previous)
        if not self._force and (found := self._present(product) or self._present(asked)):
            return self._result(found, "present")
        outcomes = [self._propose(asker, product) for asker in self._askers]
        seconds = round(perf_counter() - started, 2)
        description = assemble(product, self._askers, outcomes, previous, seconds)
        if previous and _says(previous) == _says(description):
            return self._result(previous, "unchanged", outcomes, description.provenance)
        return self._result(self._store.save(description), "written", outcomes, description.provenance)

    def _propose(self, asker: Asker, product: Product) -> Outcome:
        return propose(asker.model, asker.recipe, product, lambda family: self._tick(product.category, family))

    def _present(self, product: Product) -> DescriptionFile | None:
        """The newest version that answers the same questions, or None."""
        asked = {
            request.digest[:_DIGEST]
            for model, recipe in self._askers
            for request in first_requests(model.model, recipe, product)
        }
        for number in reversed(self._store.versions(product.category)):
            found = self._store.load(f"{product.category}@{number}")
            origin = found.provenance
            if origin and asked <= set(origin.requests) and _origin(origin) == _origin(provenance(self._askers)):
                return found
        return None

    def _result(
        self,
        saved: DescriptionFile,
        status: Status,
        outcomes: Sequence[Outcome] = (),
        origin: Provenance | None = None,
    ) -> Result:
        return Result(
            category=saved.category,
            status=status,
            ref=saved.ref,
            path=self._store.path(saved.category, saved.version).as_posix(),
            entries=len(saved.anomalies),
            enabled=len(saved.enabled_texts),
            rejected=sum(len(outcome.rejected) for outcome in outcomes),
            seconds=origin.seconds if origin else 0.0,
            tokens=sum(outcome.usage.total for outcome in outcomes),
            calls=sum(outcome.calls for outcome in outcomes),
            dropped=origin.dropped if origin else (),
            left_out=origin.left_out if origin else (),
        )


def _unforeseen(error: Exception) -> str:
    """An error that nobody thought of, with the place it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    words = " ".join(str(error).split())[:200]
    return f"unforeseen {type(error).__name__}{where}: {words}; see prompt-forge log, and please report it"


def assemble(
    product: Product,
    askers: Sequence[Asker],
    outcomes: Sequence[Outcome],
    previous: DescriptionFile | None,
    seconds: float,
) -> DescriptionFile:
    """The next version: what people wrote, locked or rejected earlier, then what the models propose now."""
    kept = tuple(entry for entry in previous.anomalies if _is_decided(entry)) if previous else ()
    merged = merge([outcome.candidates for outcome in outcomes])
    fresh, dropped = _fresh(merged, kept)
    limit = min(max(recipe.count for _, recipe in askers), MAX_ENTRIES - len(kept))
    dropped += [
        (entry.candidate.text, f"more than the {max(limit, 0)} that there is room for") for entry in fresh[limit:]
    ]
    description = DescriptionFile(
        category=product.category,
        object_name=product.object_name,
        parent=previous.version if previous else None,
        parts=product.parts,
        normal=tuple(dict.fromkeys((*NORMAL_STATES, *product.normal))),
        anomalies=(*kept, *_entries(fresh[:limit], {one.id for one in kept}, ensemble=len(askers) > 1)),
        provenance=provenance(askers, outcomes, seconds, dropped),
    )
    return description.revised(normal=previous.normal, abnormal=previous.abnormal) if previous else description


def _fresh(merged: Sequence[Merged], kept: Sequence[Anomaly]) -> tuple[list[Merged], list[tuple[str, str]]]:
    """What is not said by an entry that people decided on, and the text and reason of the others."""
    fresh, dropped = [], []
    for one in merged:
        twin = next((entry for entry in kept if is_near(one.candidate.text, [entry.text])), None)
        if twin is None:
            fresh.append(one)
        else:
            dropped.append((one.candidate.text, f"near-duplicate of {twin.id}, which a person decided on"))
    return fresh, dropped


def _is_decided(entry: Anomaly) -> bool:
    """Whether a person decided on an entry, so that no model may replace it."""
    return entry.locked or not entry.enabled or entry.source == "human"


def _entries(merged: Sequence[Merged], taken: set[str], *, ensemble: bool) -> Iterator[Anomaly]:
    taken = set(taken)
    for (text, family, part, _), support in merged:
        name = _free_id(Candidate(text, family), taken)
        taken.add(name)
        yield Anomaly(id=name, text=text, family=family, part=part, source="llm", support=support if ensemble else None)


def _free_id(candidate: Candidate, taken: set[str]) -> str:
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
    requests = dict.fromkeys(digest[:_DIGEST] for outcome in outcomes for digest in outcome.requests)
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


def _origin(origin: Provenance) -> tuple[object, ...]:
    """What must agree for two versions to come from the same recipe."""
    return origin.endpoint, origin.model, origin.template_sha256, origin.parameters


def _says(description: DescriptionFile) -> tuple[object, ...]:
    """What people and the detector read, without where it came from."""
    return description.content_hash, description.parts, tuple(entry.text for entry in description.anomalies)


def latest(store: Store, category: str) -> DescriptionFile | None:
    """The newest version of a category, or None where there is none."""
    with suppress(UnknownCategoryError):
        return store.load(Ref(category, LATEST))
    return None
