"""A training run as a person asks for it: folders and descriptions in, a checkpoint and its record out."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from lightning_fabric import Fabric

from descriptions.errors import nearest
from descriptions.refs import Ref, parse_ref, slug
from descriptions.schema import DescriptionFile
from descriptions.store import Store
from detector.cache import fingerprint as weights_digest
from detector.checkpoint import TRAINED, save_checkpoint
from detector.data import Sample, open_data
from detector.data.masks import mask_files
from detector.data.names import Names, load_described, read_names, reference
from detector.device import resolve_device
from detector.images import ReadOptions
from detector.model.filo import FiLo
from detector.prompts import build_prompts
from detector.run import recorded
from detector.seen import digests, pack
from detector.train.config import TrainConfig
from detector.train.engine import Trainer
from detector.train.errors import ProtocolError, TrainError, TrainingDataError
from detector.train.log import Report
from detector.train.memo import FeatureMemo
from detector.train.order import held_out
from detector.train.source import FiLoSource, require_trainable
from detector.train.stages import filo_stages
from detector.train.state import State

BEST_MODEL = "model-best.safetensors"
"""Whole checkpoint at the lowest held-out loss of the main stage, where validation ran."""

SplitName = Literal["train", "test", "all"]


class Material(NamedTuple):
    """What a run learns from."""

    samples: tuple[Sample, ...]
    descriptions: dict[str, DescriptionFile]
    """By category of the data set."""
    split: SplitName
    reading: ReadOptions = ReadOptions()
    """How picture files are read."""

    @property
    def hashes(self) -> dict[str, str]:
        """Content hash of every description version, by `category@version`."""
        return {file.ref: file.content_hash for file in self.descriptions.values()}


def gather(
    root: Path,
    split: SplitName,
    *,
    categories: Sequence[str] = (),
    refs: Sequence[str] = (),
    store: Store,
    eval_data: Path | None = None,
    names: Sequence[str] = (),
    reading: ReadOptions = ReadOptions(),  # noqa: B008 - immutable
) -> Material:
    """List images and load descriptions.

    Args:
        root: data set, in any layout.
        split: part of it that is trained on; the release uses `test`, where the defects are.
        categories: only these; none means all.
        refs: description versions such as `capsule@2`; categories without one take their default.
        store: library of descriptions.
        eval_data: data set the model will be judged on, of which it must not see a category.
        names: `FOLDER=DESCRIPTION` for categories that go by another name in the library.
        reading: how picture files are read.

    Raises:
        ProtocolError: a category is to be evaluated and would be trained on without having been asked for by name.
        TrainingDataError: no image in the split.
        UnknownCategoryError: a category has no description.
    """
    data = open_data(root, categories)
    if eval_data is not None:
        require_unseen(data.categories, open_data(eval_data).categories, named=categories)
    samples = data.select(split=None if split == "all" else split)
    if not samples:
        raise TrainingDataError(f"{root} has no images in split {split!r}", expected="train, test or all")
    present = sorted({sample.category for sample in samples})
    described = read_names(names, data.categories, store)
    chosen = _chosen(refs, present, described)
    files = {name: load_described(store, name, described, chosen.get(name)) for name in present}
    return Material(samples, files, split, reading)


def require_unseen(trained: Iterable[str], unseen: Iterable[str], *, named: Iterable[str] = ()) -> None:
    """The zero-shot protocol: what a model is judged on, it has not seen.

    Args:
        trained: categories of the training data.
        unseen: categories of the evaluation data.
        named: categories asked for by name, which are trained on all the same.

    Raises:
        ProtocolError: an overlap nobody asked for.
    """
    overlap = sorted({slug(name) for name in trained} & {slug(name) for name in unseen} - {slug(n) for n in named})
    if overlap:
        raise ProtocolError(
            f"{', '.join(overlap)} would be trained on and evaluated",
            expected="disjoint categories (the zero-shot protocol)",
            hint=f"name what to train on with --category, such as --category {overlap[0]} to train on it all the same",
        )


def _chosen(refs: Sequence[str], categories: Sequence[str], names: Names) -> dict[str, Ref]:
    """Reference by category of the data set."""
    described = {name: reference(name, names).category for name in categories}
    chosen: dict[str, Ref] = {}
    for ref in refs:
        wanted = parse_ref(ref)
        using = [name for name, description in described.items() if description == wanted.category]
        if not using:
            known = list(dict.fromkeys(described.values()))
            raise TrainingDataError(
                f"descriptions {ref} belong to no training category",
                expected=", ".join(known),
                hint=nearest(wanted.category, known),
            )
        chosen |= dict.fromkeys(using, wanted)
    return chosen


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


def finish(
    build: Callable[[], FiLo],
    material: Material,
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    fabric: Fabric | None = None,
    listener: Callable[[Report], None] = lambda _: None,
) -> Path:
    """Train, keep `run.json`, and write the checkpoints of the last and of the best step.

    Returns:
        Path of the checkpoint of the last step.

    Raises:
        TrainError: see `train`.
    """
    content = {"out": str(out), "resume": resume, **summary(material, config)}
    ready = prepare(build, material, config, out, fabric=fabric, listener=listener)
    state = ready.trainer.start(resume=resume)  # a refusal leaves the record of the run that is there alone
    with recorded(out, content, command="train"):
        result = _run(ready, resume=resume, state=state)
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


def train(
    build: Callable[[], FiLo],
    material: Material,
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    fabric: Fabric | None = None,
    listener: Callable[[Report], None] = lambda _: None,
) -> Result:
    """Train both stages; `finish` without its files.

    Args: see `prepare`.
        resume: continue the run in `out`.

    Raises:
        TrainError: see `detector.train.errors`.
    """
    return _run(prepare(build, material, config, out, fabric=fabric, listener=listener), resume=resume)


def _run(ready: Result, *, resume: bool, state: State | None = None) -> Result:
    ready.trainer.run(resume=resume, state=state)
    return ready._replace(model=ready.model.cpu().eval())


def prepare(
    build: Callable[[], FiLo],
    material: Material,
    config: TrainConfig,
    out: Path,
    *,
    fabric: Fabric | None = None,
    listener: Callable[[Report], None] = lambda _: None,
) -> Result:
    """Model and trainer of a run that has not begun; nothing is written.

    Args:
        build: makes the model; called after seeding, so that fresh decoders are the same in a resumed run.
        material: images and descriptions.
        config: the preset, possibly changed.
        out: receives states and metrics.
        fabric: devices and precision; by default one process on the CPU or GPU at hand.
        listener: told about every step.

    Raises:
        TrainError: see `detector.train.errors`.
    """
    require_trainable(material.samples, main=config.main_epochs > 0, adapter=config.adapter_epochs > 0)
    fabric = fabric or make_fabric(config)
    fabric.launch()
    torch.manual_seed(config.seed)
    model = build().train()
    model.to(fabric.device)
    trainer = Trainer(
        config,
        out,
        make_source(model, material, config, fabric.device),
        filo_stages(model, config),
        fingerprint=fingerprint(config, model, material, fabric.world_size),
        fabric=fabric,
        listener=listener,
    )
    return Result(model, trainer)


def make_source(model: FiLo, material: Material, config: TrainConfig, device: torch.device) -> FiLoSource:
    """Batches of `material` for `model`; features are kept where pictures never change."""
    split = held_out([(s.category, s.defective) for s in material.samples], config.validation_fraction, config.seed)
    tokens = model.config.context_tokens
    prompts = {name: build_prompts(file, context_tokens=tokens) for name, file in material.descriptions.items()}
    memo = None if config.augments else FeatureMemo(model.encode_image)
    return FiLoSource(
        material.samples, split, prompts, config, model.config, memo=memo, device=device, reading=material.reading
    )


def make_fabric(config: TrainConfig, device: str = "auto", devices: int = 1) -> Fabric:
    """Devices and precision: bf16 on a GPU unless the configuration says otherwise.

    Args:
        config: names the precision.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        devices: processes; on the CPU they share its cores.

    Raises:
        DeviceError: a processor this machine does not have.
        TrainError: more GPUs than there are.
    """
    chosen = resolve_device(device)
    accelerator = chosen.type
    present = torch.cuda.device_count()
    if accelerator == "cuda" and devices > present:
        raise TrainError(f"--devices {devices}", expected=f"at most {present}, the GPUs of this machine")
    if chosen.index is not None and devices > 1:
        raise TrainError(f"--devices {devices} with --device {device}", expected=f"--device {accelerator}")
    automatic = "bf16-mixed" if accelerator == "cuda" else "32-true"
    precision: Any = automatic if config.precision == "auto" else config.precision
    return Fabric(
        accelerator=accelerator,
        devices=devices if chosen.index is None else [chosen.index],
        strategy="ddp" if devices > 1 else "auto",
        precision=precision,
    )


def summary(material: Material, config: TrainConfig) -> dict[str, Any]:
    """What the run record says about a run."""
    counts = {"good": sum(not s.defective for s in material.samples), "defective": 0}
    counts["defective"] = len(material.samples) - counts["good"]
    return {
        "split": material.split,
        "categories": sorted(material.descriptions),
        "images": counts,
        "descriptions": material.hashes,
        "config": config.model_dump(mode="json"),
    }
