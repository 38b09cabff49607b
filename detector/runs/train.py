"""What `detector train` does: material and recipe in, checkpoints and their record out."""

from functools import partial
from pathlib import Path

from detector.data.seen import digests, pack
from detector.model.filo import FiLo
from detector.runs.record import recorded
from detector.settings import ModelChoice
from detector.train.errors import TrainError
from detector.train.session import TrainingRun, prepare, run_prepared, summary
from detector.weights.checkpoint import TRAINED, load_checkpoint, save_checkpoint
from detector.weights.factory import create_model
from detector.weights.registry import PRETRAINED, load_preset, preset_config

BEST_MODEL = "model-best.safetensors"
"""Whole checkpoint at the lowest held-out loss of the main stage, where validation ran."""


def finish(run: TrainingRun) -> Path:
    """Train, keep `run.json`, and write the checkpoints of the last and of the best step.

    Returns:
        Path of the checkpoint of the last step.

    Raises:
        TrainError: see `train`.
    """
    material, config, out = run.material, run.config, run.out
    content = {"out": str(out), "resume": run.resume, **summary(material, config)}
    ready = prepare(run)
    state = ready.trainer.start(resume=run.resume)  # a refusal leaves the record of the run that is there alone
    with recorded(out, content, command="train"):
        result = run_prepared(ready, resume=run.resume, state=state)
        path = out / TRAINED
        save = partial(
            save_checkpoint,
            whole=True,
            descriptions=material.hashes,
            training=summary(material, config),
            images=pack(digests(material.samples)),
        )
        if result.trainer.fabric.is_global_zero:
            save(result.model, path)
            if result.trainer.load_best():
                save(result.model, out / BEST_MODEL)
    return path


def create_starting_model(choice: ModelChoice, variant: str) -> FiLo:
    """The model training starts from: a checkpoint's, or a preset's.

    Raises:
        TrainError: the weights are of the other variant than the recipe.
    """
    pretrained = choice.pretrained
    if choice.checkpoint is None and variant == "released":
        name = choice.preset or "vitl"
        config = preset_config(name).model_copy(update={"variant": variant})
        return create_model(config, pretrained or PRETRAINED.get(name))
    if choice.checkpoint is None:
        model = load_preset(choice.preset, pretrained)
    else:
        model = load_checkpoint(choice.checkpoint, pretrained)
    if model.config.variant != variant:
        raise TrainError(
            f"{choice.checkpoint or choice.preset} is of variant {model.config.variant}",
            expected=variant,
            hint="choose the other --recipe",
        )
    return model
