"""What `detector eval` compares: categories, versions and controls in; results out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from descriptions.common.errors import nearest
from descriptions.common.refs import DEFAULT, parse_ref, slug
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector.data import DataSet, Sample
from detector.data.check import inverted_masks
from detector.data.names import Names, load_described, reference
from detector.data.seen import seen
from detector.evaluate.context import ContextPlan, good_photos, measure
from detector.evaluate.errors import EvaluationError
from detector.evaluate.record_folder import check, claim, is_scored, origin, read_failure
from detector.evaluate.scorer import Failure, Scorer, identity, score_all
from detector.evaluate.summary import CategoryResult, best_threshold, no_better_than_chance, summarise
from detector.evaluate.variants import Variant, controls, describe, leak_free, leaks
from detector.images.load import bits_note
from detector.model.filo import FiLo
from detector.scoring.predictor import Predictor
from detector.scoring.vocabulary import unread_note

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What is compared, and how."""

    data: DataSet
    store: Store
    refs: tuple[str, ...]
    """References; `@label` or `@2` stands for that version of every category. Empty: what each bare name means."""
    out: Path
    leak_free: bool = False
    """Drop texts that are the name of a kind of defect in the data."""
    draws: int = 1000
    """Of the bootstrap."""
    seed: int = 0
    """Of the bootstrap and of the random words."""
    trained: frozenset[bytes] = frozenset()
    """Content hashes of the images that the model was trained on, where its checkpoint says so."""
    shard: tuple[int, int] = (1, 1)
    """Which part of the images, of how many."""
    names: Names = field(default_factory=dict)
    """Reference to a description by category, where it is not the one of the category's name."""


class Evaluation(NamedTuple):
    """The outcome of a run."""

    categories: tuple[CategoryResult, ...]
    """Only those whose images have all been scored or failed; empty in a shard that leaves work to others."""
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    waiting: int
    """Images that other shards have not scored yet."""
    bootstrap: dict[str, int]
    """`draws` and `seed`; runs that share them over the same images are compared draw by draw."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know to trust the numbers: the warnings, and scores that tell nothing."""
        return (*self.warnings, *filter(None, map(no_better_than_chance, self.categories)))


class _Job(NamedTuple):
    category: str
    variants: list[Variant]
    warnings: list[str]
    samples: tuple[Sample, ...]
    origins: list[str]
    """Digests of the samples."""
    folder: Path
    """Of the records."""


class Comparison:
    """Descriptions on data, ready to be scored.

    Args:
        plan: what is compared.
        scorer: model and settings.

    Raises:
        EvaluationError: nothing to compare.
        ForgeError: unknown descriptions, unreadable data.
    """

    def __init__(self, plan: Plan, scorer: Scorer) -> None:
        jobs = [_job(plan, category, scorer.predictor.model) for category in plan.data.categories]
        self.plan, self.scorer, self._jobs = plan, scorer, [job for job in jobs if job.samples]
        if not self._jobs:
            raise EvaluationError(f"{plan.data.root} has no test images", expected="images with the split test")

    @property
    def hashes(self) -> dict[str, dict[str, str]]:
        """Content hash of every variant, by category."""
        return {job.category: {variant.name: variant.content_hash for variant in job.variants} for job in self._jobs}

    def claim(self) -> None:
        """Take the folders of the records, all or none: a refused evaluation leaves no trace in a finished run.

        Raises:
            EvaluationError: the folder holds another evaluation's records.
            OSError: it cannot be written.
        """
        named = [(job, identity(self.scorer, job.samples, job.variants)) for job in self._jobs]
        for job, name in named:
            check(job.folder, name, job.origins)
        for job, name in named:
            claim(job.folder, name)

    def run(self, tick: Callable[[], object] = lambda: None) -> Evaluation:
        """Score what is missing in the plan's folder, then summarise what is there.

        Args:
            tick: called once per image, for progress.
        """
        for job in self._jobs:
            for _ in score_all(self.scorer, job.samples, job.origins, job.variants, job.folder, self.plan.shard):
                tick()
        return _summarise(self.plan, self.scorer, self._jobs)


def thresholds(plan: Plan, evaluation: Evaluation) -> dict[str, float]:
    """By category, and by the description of a category that goes by another name, as `detect` asks for it."""
    best = {each.category: best_threshold(each) for each in evaluation.categories}
    return _by_name(plan, {category: value for category, value in best.items() if value is not None})


def threshold_origins(plan: Plan, evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """What stands behind each threshold, under the same names."""
    return _by_name(
        plan,
        {
            each.category: {"images": len(each.images), "no_better_than_chance": no_better_than_chance(each)}
            for each in evaluation.categories
        },
    )


def _by_name(plan: Plan, values: dict[str, T]) -> dict[str, T]:
    """Values by category, and by the description that one category alone is read with."""
    described: dict[str, list[T]] = {}
    for category, value in values.items():
        described.setdefault(reference(category, plan.names).category, []).append(value)
    alone = {name: alternatives[0] for name, alternatives in described.items() if len(alternatives) == 1}
    return alone | {slug(category): value for category, value in values.items()}


def _summarise(plan: Plan, scorer: Scorer, jobs: Sequence[_Job]) -> Evaluation:
    waiting, failures, results = 0, [], []
    for job in jobs:
        open_here = 0
        for index, (sample, made_from) in enumerate(zip(job.samples, job.origins, strict=True)):
            if is_scored(job.folder, index, made_from):
                continue
            error = read_failure(job.folder, index, made_from)
            if error is None:
                open_here += 1
            else:
                failures.append(Failure(str(sample.image), error))
        waiting += open_here
        if not open_here:
            columns = scorer.columns(job.variants)
            results.append(
                summarise(
                    job.category, job.samples, job.variants, columns, job.folder, draws=plan.draws, seed=plan.seed
                )
            )
    warnings = [line for job in jobs for line in job.warnings] + [*plan.data.problems, *plan.data.notes]
    if scorer.predictor.reading.bits is None:
        warnings += bits_note(sample.image for job in jobs for sample in job.samples)
    bootstrap = {"draws": plan.draws, "seed": plan.seed}
    return Evaluation(tuple(results) if not waiting else (), tuple(failures), tuple(warnings), waiting, bootstrap)


def _job(plan: Plan, category: str, model: FiLo) -> _Job:
    """Variants of one category: its description versions, then the controls of the first."""
    product = reference(category, plan.names).category
    files = [_load(plan, category, text) for text in plan.refs or ("",)]
    versions = {name: file for name, file in files if file is not None}  # a reference given twice counts once
    if not versions:
        raise EvaluationError(
            f"no description version for {category!r} among {', '.join(plan.refs)}",
            hint=nearest(product, plan.store.readable()) or f"type --descriptions {product}",
        )
    defects, warnings = plan.data.defects(category), []
    for name, file in versions.items():
        if unread := unread_note(model, file):
            warnings.append(unread)
        if file.category != product in plan.store.readable():
            warnings.append(f"{name}: words for another product; there are some for {category}")
        if leaked := leaks(file, defects):
            action = "left out" if plan.leak_free else "a name no one knows beforehand; --leak-free leaves it out"
            warnings.append(f"{name}: {', '.join(leaked)} repeats the name of a defect in {category}: {action}")
    read = {name: leak_free(file, defects) if plan.leak_free else file for name, file in versions.items()}
    hashes = {name: file.content_hash for name, file in versions.items()}
    variants = [
        describe(name, file, model.config.context_tokens)._replace(content_hash=hashes[name])
        for name, file in read.items()
    ]
    against = controls(next(iter(read.values())), model.config.context_tokens, plan.seed)
    variants += [each._replace(content_hash=variants[0].content_hash) for each in against]
    samples = plan.data.select(category=category, split="test")
    if known := seen(plan.trained, samples):
        warnings.append(f"{category}: {known}")
    if doubt := inverted_masks(samples):
        warnings.append(f"{category}: {doubt}")
    folder = plan.out / "images" / slug(category)
    return _Job(category, variants, warnings, samples, [origin(sample) for sample in samples], folder)


def versions(plan: Plan, category: str, model: FiLo) -> list[Variant]:
    """The description versions of one category, without controls.

    Raises:
        EvaluationError: none.
    """
    return [variant for variant in _job(plan, category, model).variants if not variant.control]


def in_context(
    plan: Plan,
    evaluation: Evaluation,
    predictor: Predictor,
    context: ContextPlan,
    tick: Callable[[], object] = lambda: None,
) -> Evaluation:
    """A finished evaluation with the rows that compare with other photos.

    Raises:
        EvaluationError: fewer good training photos can be read than are asked for.
    """
    if not context:
        return evaluation

    def with_rows(result: CategoryResult) -> CategoryResult:
        good = good_photos(plan.data, result.category)
        words = versions(plan, result.category, predictor.model)
        bootstrap = {"draws": plan.draws, "seed": plan.seed}
        return result._replace(context=measure(context, result, good, words, predictor, **bootstrap, tick=tick))

    return evaluation._replace(categories=tuple(map(with_rows, evaluation.categories)))


def _load(plan: Plan, category: str, text: str) -> tuple[str, DescriptionFile | None]:
    """A variant's name and its description file; None where the reference is about another category."""
    several = len(plan.data.categories) > 1
    ref = reference(category, plan.names, text) if not text or text.startswith("@") else parse_ref(text)
    if several and ref.category != reference(category, plan.names).category:
        return text, None
    file = load_described(plan.store, category, plan.names, ref)
    version = ref.version if text else DEFAULT  # one name for all categories, whatever --map says of some
    return (f"@{version}" if several else file.ref), file
