"""`detector.evaluate` and `detector.train`: what the commands of these names do, from Python."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from descriptions.common.errors import nearest
from descriptions.common.extras import require
from descriptions.store import Store
from detector import defaults
from detector.data import open_data
from detector.data.material import SplitName, gather
from detector.data.names import read_names
from detector.detect.detection import Failure
from detector.detect.detector import Detector
from detector.errors import DetectorError
from detector.evaluate.comparison import Comparison, Evaluation, Plan, in_context
from detector.evaluate.context import REFERENCE_DRAWS, ContextPlan, require_photos
from detector.evaluate.errors import EvaluationError
from detector.evaluate.results import to_document, to_frame
from detector.evaluate.scorer import Scorer
from detector.evaluate.summary import best_threshold, no_better_than_chance
from detector.runs.evaluate import trained_on
from detector.scoring.threshold import Threshold, ThresholdError

if TYPE_CHECKING:
    import pandas as pd

    from detector.train.config import TrainConfig
    from detector.train.log import Report


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation came to."""

    evaluation: Evaluation

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Images that could not be used."""
        return tuple(Failure(*each) for each in self.evaluation.failures)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know to trust the numbers, one line each."""
        return self.evaluation.remarks

    def to_dict(self) -> dict[str, Any]:
        """The document that `detector eval` writes as `results.json`."""
        return to_document(self.evaluation)

    def to_frame(self) -> "pd.DataFrame":
        """The table that `detector eval` writes as `results.csv`.

        One row per category and variant, and their means as category `mean`. One column per metric, as a fraction, with
        the ends of its interval in `METRIC_low` and `METRIC_high`.
        """
        return to_frame(self.to_dict())

    def threshold(self, category: str) -> Threshold:
        """The threshold with the best F1 of the first variant.

        Raises:
            EvaluationError: a category that was not evaluated.
            ThresholdError: F1 does not exist, or the scores do not tell good from bad.
        """
        results = {each.category: each for each in self.evaluation.categories}
        if category not in results:
            hint = nearest(category, list(results))
            raise EvaluationError(f"no category {category!r}", expected=", ".join(results), hint=hint)
        value, doubt = best_threshold(results[category]), no_better_than_chance(results[category])
        if value is None or doubt:
            why = doubt or f"{category} has good or defective images only"
            raise ThresholdError(f"no threshold for {category}: {why}")
        return Threshold.from_evaluation(value, len(results[category].images))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        html: str = self.to_frame().to_html(index=False, float_format="{:.3f}".format, na_rep="")
        return html


def evaluate(
    data: str | Path,
    descriptions: str | Sequence[str] = (),
    model: Detector | str | None = None,
    *,
    categories: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    contributions: bool = True,
    leak_free: bool = False,
    draws: int = 1000,
    seed: int = 0,
    references: Sequence[int] = (),
    together: bool = False,
    reference_draws: int = REFERENCE_DRAWS,
    tick: Callable[[], object] = lambda: None,
) -> EvaluationResult:
    """Compare description versions, and controls, on labelled photos.

    Nothing is written; `detector eval` keeps results, a report and what it takes to continue an evaluation.

    Args:
        data: data set in any layout, or one category of it.
        descriptions: versions to compare, such as `["capsule@1", "capsule@2"]`; what each bare name means by default.
        model: detector, whose library and options count, or the name of a preset.
        categories: only these; none means all.
        names: reference to a description by folder, for categories that go by another name in the library.
        contributions: whether each version is also scored with each of its descriptions left out.
        leak_free: drop texts that are the name of a kind of defect in the data.
        draws: number of bootstrap draws.
        seed: of the bootstrap, of the random control and of the draws of references.
        references: how many good training photos to compare with as well, each number rows of its own.
        together: whether the test photos are compared among each other as well.
        reference_draws: how often references are drawn.
        tick: called once per photo, for progress.

    Raises:
        EvaluationError: nothing to compare, or fewer than two draws.
        DataError: unreadable data, or an unknown category.
        DescriptionError: a description that is not there.
        PresetError: an unknown preset.
    """
    if draws < 2:
        raise EvaluationError(f"draws={draws}", expected="at least 2")
    detector = model if isinstance(model, Detector) else Detector.from_pretrained(model)
    versions = (descriptions,) if isinstance(descriptions, str) else tuple(descriptions)
    samples = open_data(Path(data), _listed("categories", categories))
    described = read_names(_pairs(names), samples.categories, detector.store)
    seen = trained_on(detector.source) if detector.source else frozenset()
    context = ContextPlan(tuple(references), together, reference_draws, seed)
    with TemporaryDirectory(prefix="filo-forge-") as folder:
        plan = Plan(
            samples, detector.store, versions, Path(folder), leak_free, draws, seed, seen, names=described
        )  # fmt: skip
        comparison = Comparison(plan, Scorer(detector.predictor, contributions))
        require_photos(context, samples, detector.predictor.tile)
        comparison.claim()
        return EvaluationResult(in_context(plan, comparison.run(tick), detector.predictor, context, tick))


def train(
    data: str | Path,
    out: str | Path,
    *,
    split: SplitName,
    config: "TrainConfig | None" = None,
    categories: Sequence[str] = (),
    descriptions: Sequence[str] = (),
    store: Store | None = None,
    eval_data: str | Path | None = None,
    names: Mapping[str, str] | None = None,
    preset: str | None = None,
    checkpoint: str | Path | None = None,
    pretrained: str | Path | None = None,
    device: str = defaults.DEVICE,
    devices: int = 1,
    resume: bool = False,
    listener: "Callable[[Report], None]" = lambda _: None,
) -> Path:
    """Train FiLo on annotated photos; the model then finds defects on products that it has not seen.

    Args:
        data: data set in any layout.
        out: receives checkpoints, metrics and `run.json`.
        split: photos to train on: `train`, `test` or `all`; in the MVTec layout the defects are in `test`.
        config: schedule, rates, losses and augmentation; the recipe `filo` by default.
        categories: only these; none means all.
        descriptions: versions such as `capsule@2`; categories without one take their default.
        store: library of descriptions; the rule of `Store.open` by default.
        eval_data: data set that the model will be judged on, and must not see.
        names: reference to a description by folder, for categories that go by another name in the library.
        preset: model to start from, by name.
        checkpoint: model to start from, by file.
        pretrained: CLIP weights, by open_clip tag or file, if the model has none.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        devices: processes, one per device.
        resume: continue the run in `out`.
        listener: told about every step.

    Returns:
        The checkpoint of the last step, for `Detector.from_checkpoint`.

    Raises:
        MissingExtraError: the extra `train` is not installed.
        ProtocolError: a category would be trained on and evaluated.
        TrainError: see `detector.train.errors`.
    """
    require("detector.train", "lightning_fabric")
    from detector.runs.train import create_starting_model, finish
    from detector.settings import ModelChoice
    from detector.train.config import TrainConfig
    from detector.train.session import TrainingRun, create_fabric

    config = config or TrainConfig()
    material = gather(
        Path(data),
        split,
        categories=_listed("categories", categories),
        refs=_listed("descriptions", descriptions),
        store=store or Store.open(),
        eval_data=Path(eval_data) if eval_data else None,
        names=_pairs(names),
    )
    choice = ModelChoice(
        preset=preset,
        checkpoint=Path(checkpoint) if checkpoint else None,
        pretrained=str(pretrained) if pretrained else None,
    )
    run = TrainingRun(
        lambda: create_starting_model(choice, config.variant),
        material,
        config,
        Path(out),
        resume=resume,
        fabric=create_fabric(config, device, devices),
        listener=listener,
    )
    return finish(run)


def _listed(name: str, texts: Sequence[str]) -> Sequence[str]:
    """A list of texts; a single text would be taken for a list of letters.

    Raises:
        DetectorError: it is a text.
    """
    if isinstance(texts, str):
        raise DetectorError(f"{name} is the text {texts!r}", expected="a list of texts", hint=f"write [{texts!r}]")
    return texts


def _pairs(names: Mapping[str, str] | None) -> list[str]:
    """As `--map` takes them."""
    return [f"{folder}={description}" for folder, description in (names or {}).items()]
