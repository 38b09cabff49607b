"""Many products in one run: each is written as soon as it is done, and a rerun does only what is missing.

What is missing is told by the request digests a saved version carries: a version that came from the same questions to
the same model is there already. So a run may be killed at any point, and a file is either whole or absent.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Literal

from pydantic import BaseModel, ConfigDict

from descriptions.common.errors import ForgeError, UnknownCategoryError
from descriptions.common.refs import LATEST, Ref
from descriptions.format.schema import DescriptionFile, Dropped, Provenance
from descriptions.store import Store
from prompt_forge.errors import AuthenticationError, BudgetError, LocalModelError, ModelError
from prompt_forge.generation.assemble import DIGEST, Asker, assemble, provenance
from prompt_forge.generation.catalog import Product
from prompt_forge.generation.strategies import first_requests, propose
from prompt_forge.generation.tally import Outcome

__all__ = ["Asker", "Result", "Run", "latest"]

Status = Literal["written", "unchanged", "present", "failed"]

_HOPELESS = (AuthenticationError, BudgetError, LocalModelError)
"""Failures that the next product would meet again."""


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
            return self.describe(product)
        except ForgeError as error:
            if isinstance(error, _HOPELESS):
                self._why = str(error)
                self._stop.set()
            tokens = error.usage.total if isinstance(error, ModelError) else 0
            return Result(category=product.category, status="failed", error=str(error), tokens=tokens)
        except Exception as error:  # whatever it is, it is this product's failure and not the run's
            return Result(category=product.category, status="failed", error=_unforeseen(error))

    def describe(self, product: Product) -> Result:
        """What became of one product.

        Raises:
            ForgeError: no whole, acceptable answer came, or it cannot be saved.
        """
        started = perf_counter()
        previous = latest(self._store, product.category)
        asked, product = product, product.after(previous)
        if not self._force and (existing := self._present(product) or self._present(asked)):
            return self._result(existing, "present")
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
        digests = {
            request.digest[:DIGEST]
            for model, recipe in self._askers
            for request in first_requests(model.model, recipe, product)
        }
        for number in reversed(self._store.versions(product.category)):
            existing = self._store.load(f"{product.category}@{number}")
            origin = existing.provenance
            if origin and digests <= set(origin.requests) and _origin(origin) == _origin(provenance(self._askers)):
                return existing
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
