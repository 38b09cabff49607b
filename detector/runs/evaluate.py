"""From what was typed to an evaluation: model, cache, localizer, and where everything is written."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from descriptions.store import Store
from detector import console
from detector.data.marks import open_labelled
from detector.data.names import read_names
from detector.data.seen import unpack
from detector.defaults import TableForm
from detector.evaluate.comparison import Comparison, Evaluation, Plan, in_context, threshold_origins, thresholds
from detector.evaluate.context import REFERENCE_DRAWS, ContextPlan, print_context, require_photos, steps
from detector.evaluate.errors import EvaluationError
from detector.evaluate.results import (
    compare,
    read_draws,
    read_results,
    to_csv,
    to_document,
    write_contributions,
    write_results,
)
from detector.evaluate.scorer import Scorer
from detector.evaluate.tables import print_comparison, print_contributions, print_tables
from detector.localize.registry import BOXES
from detector.report.evaluation import write_evaluation
from detector.runs.components import ScoringRequest, load_chosen_model, predictor_options
from detector.runs.record import recorded
from detector.scoring.feature_cache import DEFAULT_LIMIT, FeatureCache, default_folder
from detector.scoring.predict import ScoringSettings
from detector.scoring.predictor import Predictor
from detector.weights.checkpoint import CheckpointError, read_info
from detector.weights.registry import DEFAULT, WEIGHTS, resolve_preset


class Request(ScoringRequest):
    """Everything that `detector eval` was asked for; kept in `run.json`."""

    data: Path | None = None
    labels: Path | None = None
    """Marks of people, which say what photos show; without `data` the photos are looked for where they were marked."""
    categories: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """`FOLDER=DESCRIPTION` for categories that go by another name in the library."""
    scoring: ScoringSettings = ScoringSettings()
    adapter: bool = True
    decoders: Literal["all", "linear", "conv"] = "all"
    contributions: bool = True
    leak_free: bool = False
    draws: int = 1000
    seed: int = 0
    references: tuple[int, ...] = ()
    """How many good training photos to compare with, each a row."""
    reference_draws: int = REFERENCE_DRAWS
    together: bool = False
    shard: str = "1/1"
    out: Path
    cache_dir: Path | None = None
    cache: bool = True
    cache_limit: int = DEFAULT_LIMIT


def run(request: Request, form: TableForm = "table") -> int:
    """Evaluate, write the run folder, print; returns the exit code.

    Raises:
        ForgeError: before anything is scored, when the request cannot work.
    """
    data, store = open_labelled(request.data, request.labels, request.categories), Store.open(request.descriptions_dir)
    names = read_names(request.names, data.categories, store)
    scorer = create_scorer(request)
    plan = Plan(
        data, store, request.descriptions, request.out, request.leak_free, request.draws, request.seed,
        trained_on(request.checkpoint or resolve_preset(request.preset) / WEIGHTS), parse_shard(request.shard), names,
    )  # fmt: skip
    context = ContextPlan(request.references, request.together, request.reference_draws, request.seed)
    part, parts = plan.shard
    require_photos(context, data, request.tile)
    total = sum(len(data.select(split="test", category=name)[part - 1 :: parts]) for name in data.categories)
    if not total:
        console.warn(f"--shard {request.shard} holds no image: there are fewer than {parts} of every category")
    with console.progress("evaluating", total) as tick:
        evaluation = evaluate(plan, scorer, _recorded(request, scorer), tick)
    for line in [*evaluation.remarks, *(f"{each.path}: {each.error}" for each in evaluation.failures)]:
        console.warn(line)
    if evaluation.waiting:
        console.warn(f"{evaluation.waiting} images are left to other shards; no results yet")
        return 1 if evaluation.failures else 0
    if context:
        with console.progress("comparing with other photos", steps(context, data)) as tick:
            evaluation = in_context(plan, evaluation, scorer.predictor, context, tick)
    document = to_document(evaluation)
    write_results(request.out, document, evaluation)
    write_contributions(request.out, evaluation)
    write_evaluation(request.out / "report.html", evaluation, request.out / "images", _facts(request), document["mean"])
    show(evaluation, document, form)
    return 1 if evaluation.failures else 0


def evaluate(
    plan: Plan, scorer: Scorer, settings: dict[str, Any] | None = None, tick: Callable[[], object] = lambda: None
) -> Evaluation:
    """Compare, and keep the record of it in `plan.out`.

    Args:
        plan: what is compared.
        scorer: model and settings.
        settings: everything that goes into `run.json`.
        tick: called once per image, for progress.

    Raises:
        EvaluationError: nothing to compare, or `plan.out` holds another evaluation's records.
        ForgeError: unknown descriptions, unreadable data.
    """
    comparison = Comparison(plan, scorer)
    with ExitStack() as stack:
        try:
            comparison.claim()
            whole = (settings or {}) | {"hashes": comparison.hashes}
            outcome = stack.enter_context(recorded(plan.out, whole, command="eval"))
        except OSError as error:
            raise EvaluationError(
                f"{plan.out} cannot be written: {error.strerror}",
                expected="a folder for the results",
                hint="pass --out DIR",
            ) from error
        evaluation = comparison.run(tick)
        outcome.status = "partial" if evaluation.failures or evaluation.waiting else "done"
        outcome.results["thresholds"] = thresholds(plan, evaluation)
        outcome.results["thresholds_from"] = threshold_origins(plan, evaluation)
    return evaluation


def trained_on(path: Path) -> frozenset[bytes]:
    """Content hashes of the images that the model in a file learned from; none where the file says nothing."""
    try:
        return unpack(read_info(path).images)
    except CheckpointError:
        return frozenset()


def _facts(request: Request) -> dict[str, str]:
    """What a reader of the report must know to trust it."""
    scoring = request.scoring
    return {
        "Data": " with the truth of ".join(str(one) for one in (request.data, request.labels) if one),
        "Model": str(request.checkpoint or f"preset {request.preset or DEFAULT}"),
        "Scoring": f"localizer {scoring.localizer}, position {_on(scoring.position)}, gate {scoring.gate}, "
        f"adapter {_on(request.adapter)}, decoders {request.decoders}",
        "Bootstrap": f"{request.draws} draws over images, seed {request.seed}",
        "Leak-free": "yes" if request.leak_free else "no",
    }


def _on(switch: bool) -> str:
    return "on" if switch else "off"


def parse_shard(text: str) -> tuple[int, int]:
    """`2/3` as (2, 3).

    Raises:
        EvaluationError: anything else.
    """
    part, _, parts = text.partition("/")
    if part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
        return int(part), int(parts)
    raise EvaluationError(f"shard {text!r}", expected="i/n with i from 1 to n, such as 2/3")


def show(evaluation: Evaluation, document: dict[str, Any], form: TableForm) -> None:
    """Print results in one of three forms."""
    if form == "json":
        console.print_json(document)
    elif form == "csv":
        console.stdout().file.write(to_csv(document))
    else:
        print_tables(document)
        if "context" in document:
            print_context(document)
        print_contributions(evaluation.categories)


def create_scorer(request: Request) -> Scorer:
    """Model, cache, localizer and settings, as asked for.

    Raises:
        ForgeError: what was asked for is not there, or does not go together.
    """
    model = load_chosen_model(request)
    options = predictor_options(request, request.scoring, model, request.cache_dir and request.cache_dir / BOXES)
    if not request.adapter:
        model.adapter.switch_off()
    cache = FeatureCache(request.cache_dir or default_folder(), request.cache_limit) if request.cache else None
    options |= {"cache": cache, "decoders": request.decoders}
    predictor = Predictor(model, **options)
    return Scorer(predictor, request.contributions)


def _recorded(request: Request, scorer: Scorer) -> dict[str, Any]:
    """What goes into `run.json`: the request, with the processor and precision that `auto` stood for."""
    ran_on = {"device": str(scorer.predictor.device), "precision": scorer.predictor.precision}
    return request.model_dump(mode="json") | ran_on


def run_compare(first: Path, second: Path, form: TableForm = "table") -> None:
    """Print what the second run has more than the first, with intervals, and say what they do not share.

    Raises:
        EvaluationError: a folder without results, or nothing in common.
    """
    import pandas as pd

    documents = read_results(first), read_results(second)
    rows, notes = compare(*documents, read_draws(first), read_draws(second))
    for note in notes:
        console.warn(note)
    if form == "json":
        console.print_json({"first": str(first), "second": str(second), "differences": rows})
    elif form == "csv":
        console.stdout().file.write(pd.DataFrame(rows).to_csv(index=False))
    else:
        print_comparison(first, second, rows)
