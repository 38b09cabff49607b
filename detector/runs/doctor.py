"""What is installed, which weights are where, what each command can do now, and what to type otherwise."""

import importlib.metadata
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from descriptions.common.errors import ForgeError, SettingsError
from descriptions.common.extras import install, missing
from descriptions.common.settings import FILE
from descriptions.store import Store
from detector.settings import saved_settings
from detector.weights import registry as presets

State = Literal["ok", "missing", "optional"]

PACKAGES = {
    "torch": "", "open_clip_torch": "", "transformers": "", "groundingdino-py": "", "safetensors": "", "pillow": "",
    "lightning-fabric": "train", "ray": "ray", "onnx": "onnx", "onnxruntime": "onnx", "onnxscript": "onnx",
}  # fmt: skip
"""Distribution, and the extra that installs it."""

COMMANDS = {
    "train": ("lightning_fabric",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "serve": ("fastapi", "uvicorn", "python_multipart", "prometheus_client"),
    "watch": ("watchfiles",),
    "detect over machines": ("ray",),
}
"""Command and the optional modules it needs."""


class Check(NamedTuple):
    """One line of the report."""

    subject: str
    state: State
    found: str
    hint: str = ""
    """What to type; empty when nothing needs doing."""


def checks(descriptions_dir: Path | None = None) -> Iterator[Check]:
    """Everything, in reading order; nothing is downloaded and no model is built."""
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from map(_package, PACKAGES)
    yield from _processors()
    yield from map(_preset, presets.list_presets())
    yield _settings()
    yield _library(descriptions_dir)
    yield from _commands()


def _package(name: str) -> Check:
    extra = PACKAGES[name]
    try:
        return Check(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        requirement = f"filo-forge[{extra}]" if extra else name
        return Check(name, "optional" if extra else "missing", "not installed", f"pip install '{requirement}'")


def _processors() -> Iterator[Check]:
    import torch

    yield Check("cpu", "ok", f"{torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        yield Check(f"cuda:{index}", "ok", f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    if not torch.cuda.device_count():
        yield Check("cuda", "optional", "no GPU: everything runs on the CPU, more slowly")


def _preset(name: str) -> Check:
    weights = presets.FOLDER / name / presets.WEIGHTS
    if weights.is_file():
        return Check(f"preset {name}", "ok", f"{weights} ({weights.stat().st_size / 2**20:.0f} MiB)")
    if name not in presets.PRETRAINED:
        return Check(f"preset {name}", "missing", "weights not installed", "reinstall filo-forge, or pass --checkpoint")
    return Check(
        f"preset {name}",
        "optional",
        f"CLIP weights {presets.PRETRAINED[name]!r} come over the network at first use, the rest is untrained",
        "detector import-checkpoint FILE --out NEW.safetensors, then --checkpoint NEW.safetensors",
    )


def _settings() -> Check:
    try:
        saved = saved_settings()
    except SettingsError as error:
        return Check("settings", "missing", str(error), f"fix {FILE}, or the variable")
    settings = ", ".join(f"{name} = {value}" for name, value in saved.items())
    return Check("settings", "ok", settings or f"built-in; [detector] of {FILE} would change them")


def _library(descriptions_dir: Path | None) -> Check:
    try:
        store = Store.open(descriptions_dir)
        categories = store.categories()
    except (ForgeError, OSError) as error:
        return Check("descriptions", "missing", str(error), "pass --descriptions-dir DIR")
    if not categories:
        return Check("descriptions", "missing", f"none in {store.root}", "prompt-forge generate --category NAME")
    return Check("descriptions", "ok", f"{len(categories)} categories in {store.root}")


def _commands() -> Iterator[Check]:
    default = _preset(presets.DEFAULT)
    yield Check("detector detect", default.state, "ready" if default.state == "ok" else default.found, default.hint)
    yield Check(
        "--localizer grounding-dino",
        "optional",
        "needs a checkpoint, and BERT's vocab.txt in a folder or a connection",
        "--dino-weights FILE --dino-text FOLDER",
    )
    for command, modules in COMMANDS.items():
        if module := missing(*modules):
            yield Check(f"detector {command}", "optional", f"needs {module}", install(module))
        else:
            yield Check(f"detector {command}", "ok", "ready")
