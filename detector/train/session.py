"""A training run without its files: material and recipe in, a trained model out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric

from detector.data.masks import mask_files
from detector.data.material import Material
from detector.device import resolve_device
from detector.model.filo import FiLo
from detector.scoring.feature_cache import fingerprint as weights_digest
from detector.scoring.prompts import create_prompts
from detector.train.batches import FiLoSource, require_trainable
from detector.train.config import TrainConfig
from detector.train.engine import Trainer
from detector.train.errors import TrainError
from detector.train.feature_memo import FeatureMemo
from detector.train.log import Report
from detector.train.sampling import held_out
from detector.train.stages import filo_stages
from detector.train.state import State


def fingerprint(config: TrainConfig, model: FiLo, material: Material, processes: int) -> str:
    """SHA-256 (hex) of what the resulting weights depend on: recipe, starting weights, descriptions, masks, images.

    Images count by name and size, since reading a large set twice would take as long as an epoch.
    """
    digest = hashlib.sha256(config.content_hash.encode())
    digest.update(weights_digest(model).encode())
    digest.update(repr((processes, material.split, sorted(material.hashes.items()))).encode())
    digest.update(str(material.reading.bits or "").encode())
    for sample in material.samples:
        digest.update(f"{sample.category}/{sample.defect}/{sample.image.name}/{sample.image.stat().st_size}".encode())
        digest.update(b"".join(path.read_bytes() for path in mask_files(sample.mask)))
    return digest.hexdigest()


class Result(NamedTuple):
    """A run, before and after."""

    model: FiLo
    """In the end with the weights of the last step, on the CPU."""
    trainer: Trainer


@dataclass(frozen=True)
class TrainingRun:
    """What to train, on what, how, and where to."""

    build: Callable[[], FiLo]
    """Makes the model; called after seeding, so that fresh decoders are the same in a resumed run."""
    material: Material
    """Images and descriptions."""
    config: TrainConfig
    """The preset, possibly changed."""
    out: Path
    """Receives states and metrics."""
    resume: bool = False
    """Continue the run in `out`."""
    fabric: Fabric | None = None
    """Devices and precision; by default one process on the CPU or GPU at hand."""
    listener: Callable[[Report], None] = lambda _: None
    """Told about every step."""


def train(run: TrainingRun) -> Result:
    """Train both stages; the weights are left to the caller.

    Raises:
        TrainError: see `detector.train.errors`.
    """
    return run_prepared(prepare(run), resume=run.resume)


def run_prepared(ready: Result, *, resume: bool, state: State | None = None) -> Result:
    """Train what `prepare` has made ready.

    Args:
        ready: model and trainer.
        resume: continue the run in the trainer's folder.
        state: where it stopped, if `Trainer.start` has read it already.

    Raises:
        TrainError: see `detector.train.errors`.
    """
    ready.trainer.run(resume=resume, state=state)
    return ready._replace(model=ready.model.cpu().eval())


def prepare(run: TrainingRun) -> Result:
    """Model and trainer of a run that has not begun; nothing is written.

    Raises:
        TrainError: see `detector.train.errors`.
    """
    material, config = run.material, run.config
    require_trainable(material.samples, main=config.main_epochs > 0, adapter=config.adapter_epochs > 0)
    fabric = run.fabric or create_fabric(config)
    fabric.launch()
    torch.manual_seed(config.seed)
    model = run.build().train()
    model.to(fabric.device)
    trainer = Trainer(
        config,
        run.out,
        create_source(model, material, config, fabric.device),
        filo_stages(model, config),
        fingerprint=fingerprint(config, model, material, fabric.world_size),
        fabric=fabric,
        listener=run.listener,
    )
    return Result(model, trainer)


def create_source(model: FiLo, material: Material, config: TrainConfig, device: torch.device) -> FiLoSource:
    """Batches of `material` for `model`; features are kept where pictures never change."""
    split = held_out([(s.category, s.defective) for s in material.samples], config.validation_fraction, config.seed)
    tokens = model.config.context_tokens
    prompts = {name: create_prompts(file, context_tokens=tokens) for name, file in material.files.items()}
    memo = None if config.augments else FeatureMemo(model.encode_image)
    return FiLoSource(
        material.samples, split, prompts, config, model.config, memo=memo, device=device, reading=material.reading
    )


def create_fabric(config: TrainConfig, device: str = "auto", devices: int = 1) -> Fabric:
    """Devices and precision: bf16 on a GPU unless the configuration says otherwise.

    Args:
        config: names the precision.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        devices: processes; on the CPU they share its cores.

    Raises:
        DeviceError: a processor this machine does not have.
        TrainError: more GPUs than there are.
    """
    processor = resolve_device(device)
    present = torch.cuda.device_count()
    if processor.type == "cuda" and devices > present:
        raise TrainError(f"--devices {devices}", expected=f"at most {present}, the GPUs of this machine")
    return Fabric(**fabric_options(config, processor, devices))


def fabric_options(config: TrainConfig, processor: torch.device, devices: int = 1) -> dict[str, Any]:
    """What Lightning Fabric is asked for; see `create_fabric`.

    Raises:
        TrainError: several devices, and one of them by its number.
    """
    if processor.index is not None and devices > 1:
        raise TrainError(f"--devices {devices} with --device {processor}", expected=f"--device {processor.type}")
    automatic = "bf16-mixed" if processor.type == "cuda" else "32-true"
    return {
        "accelerator": processor.type,
        "devices": devices if processor.index is None else [processor.index],
        "strategy": "ddp" if devices > 1 else "auto",
        "precision": automatic if config.precision == "auto" else config.precision,
    }


def summary(material: Material, config: TrainConfig) -> dict[str, Any]:
    """What the run record says about a run."""
    counts = {"good": sum(not s.defective for s in material.samples), "defective": 0}
    counts["defective"] = len(material.samples) - counts["good"]
    return {
        "split": material.split,
        "categories": sorted(material.files),
        "images": counts,
        "descriptions": material.hashes,
        "config": config.model_dump(mode="json"),
    }
