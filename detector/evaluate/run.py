"""`detector eval` without the command line: categories, versions and controls in; results out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from descriptions.errors import nearest
from descriptions.files import atomic_write
from descriptions.refs import parse_ref, slug
from descriptions.schema import DescriptionFile
from descriptions.store import Store
from detector.data import DataSet
from detector.evaluate.errors import EvaluationError
from detector.evaluate.passes import Failure, Scorer, identity, record_path, score_all
from detector.evaluate.records import read_scores
from detector.evaluate.summary import CategoryResult, best_threshold, summarise
from detector.evaluate.variants import Variant, controls, describe, leak_free, leaks
from detector.run import Status, write_run

_IDENTITY = "identity.txt"


@dataclass(frozen=True)
class Plan:
    """What is compared, and how."""

    data: DataSet
    store: Store
    descriptions: tuple[str, ...]
    """References; `@label` or `@2` stands for that version of every category. Empty: what each bare name means."""
    out: Path
    leak_free: bool = False
    """Drop texts that are the name of a kind of defect in the data."""
    draws: int = 1000
    """Of the bootstrap."""
    seed: int = 0
    """Of the bootstrap and of the random words."""
    shard: tuple[int, int] = (1, 1)
    """Which part of the images, of how many."""


class Evaluation(NamedTuple):
    """The outcome of a run."""

    categories: tuple[CategoryResult, ...]
    """Only those whose images have all been scored or failed; empty in a shard that leaves work to others."""
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    waiting: int
    """Images that other shards have not scored yet."""


class _Job(NamedTuple):
    category: str
    variants: list[Variant]
    warnings: list[str]


def evaluate(
    plan: Plan, scorer: Scorer, settings: dict[str, Any] | None = None, tick: Callable[[], object] = lambda: None
) -> Evaluation:
    """Score what is missing in `plan.out`, then summarise what is there.

    Args:
        plan: what is compared.
        scorer: model and settings.
        settings: everything that goes into `run.json`.
        tick: called once an image, for progress.

    Raises:
        EvaluationError: nothing to compare, or `plan.out` holds another evaluation's records.
        ForgeError: unknown descriptions, unreadable data.
    """
    jobs = [_job(plan, category, scorer.model.config.context_tokens) for category in plan.data.categories]
    jobs = [job for job in jobs if plan.data.select(category=job.category, split="test")]
    if not jobs:
        raise EvaluationError(f"{plan.data.root} has no test images", expected="images with the split test")
    whole = (settings or {}) | {"hashes": {job.category: _hashes(job) for job in jobs}}
    status: Status = "interrupted"
    try:
        write_run(plan.out, whole, status="running")
    except OSError as error:
        raise EvaluationError(
            f"{plan.out} cannot be written: {error.strerror}",
            expected="a folder for the results",
            hint="pass --out DIR",
        ) from error
    thresholds: dict[str, float] = {}
    try:
        failures = [failure for job in jobs for failure in _score(plan, scorer, job, tick)]
        status = "failed"
        found = _summarise(plan, scorer, jobs, failures)
        status = "partial" if failures or found.waiting else "done"
        thresholds = {
            slug(each.category): value for each in found.categories if (value := best_threshold(each)) is not None
        }
    finally:
        write_run(plan.out, whole, status=status, thresholds=thresholds)
    return found


def _hashes(job: _Job) -> dict[str, str]:
    return {variant.name: variant.content_hash for variant in job.variants}


def _score(plan: Plan, scorer: Scorer, job: _Job, tick: Callable[[], object]) -> Iterable[Failure]:
    samples = plan.data.select(category=job.category, split="test")
    folder = plan.out / "images" / slug(job.category)
    _claim(folder, identity(scorer, samples, job.variants))
    for failure in score_all(scorer, samples, job.variants, folder, plan.shard):
        tick()
        if failure:
            yield failure


def _claim(folder: Path, name: str) -> None:
    """Make sure that a folder of records belongs to this very evaluation."""
    path = folder / _IDENTITY
    if path.is_file() and path.read_text(encoding="utf-8") != name:
        raise EvaluationError(
            f"{folder} holds results of another model, data set or descriptions",
            expected="an empty folder, or the same evaluation to continue",
            hint="pass another --out",
        )
    atomic_write(path, name)


def _summarise(plan: Plan, scorer: Scorer, jobs: Sequence[_Job], failures: Sequence[Failure]) -> Evaluation:
    failed = {failure.path for failure in failures}
    waiting, results = 0, []
    for job in jobs:
        samples = plan.data.select(category=job.category, split="test")
        folder = plan.out / "images" / slug(job.category)
        missing = [index for index in range(len(samples)) if read_scores(record_path(folder, index)) is None]
        open_here = sum(str(samples[index].image) not in failed for index in missing)
        waiting += open_here
        if not open_here:
            columns = scorer.columns(job.variants)
            results.append(
                summarise(job.category, samples, job.variants, columns, folder, draws=plan.draws, seed=plan.seed)
            )
    warnings = [line for job in jobs for line in job.warnings] + list(plan.data.problems)
    return Evaluation(tuple(results) if not waiting else (), tuple(failures), tuple(warnings), waiting)


def _job(plan: Plan, category: str, context_tokens: int) -> _Job:
    """Variants of one category: its description versions, then the controls of the first."""
    files = [_load(plan, category, text) for text in plan.descriptions or ("@default",)]
    chosen = [(name, file) for name, file in files if file is not None]
    if not chosen:
        raise EvaluationError(
            f"no description version for {category!r} among {', '.join(plan.descriptions)}",
            hint=nearest(slug(category), plan.store.categories()) or f"type --descriptions {slug(category)}",
        )
    variants, warnings = [], []
    for name, file in chosen:
        defects = plan.data.defects(category)
        if leaked := leaks(file, defects):
            action = "left out" if plan.leak_free else "a name no one knows beforehand; --leak-free leaves it out"
            warnings.append(f"{name}: {', '.join(leaked)} repeats the name of a defect in {category}: {action}")
        variants.append(describe(name, leak_free(file, defects) if plan.leak_free else file, context_tokens))
    return _Job(category, [*variants, *controls(chosen[0][1], context_tokens, plan.seed)], warnings)


def _load(plan: Plan, category: str, text: str) -> tuple[str, DescriptionFile | None]:
    """A variant's name and its description file; None where the reference is about another category."""
    several = len(plan.data.categories) > 1
    ref = parse_ref(slug(category) + text if text.startswith("@") else text)
    if several and ref.category != slug(category):
        return text, None
    file = plan.store.load(ref)
    return (f"@{ref.version}" if several else file.ref), file
