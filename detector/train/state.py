"""What survives a kill: one safetensors file, replaced as a whole, holding tensors and numbers and no code."""

from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from descriptions.common.files import atomic_write
from detector.train.errors import ResumeError
from detector.train.failures import full_disk

_META = "filo_forge_train_state"


class Progress(BaseModel):
    """Where a run stands; everything else about the order of images follows from the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    fingerprint: str
    """Hash of configuration, data and descriptions: what the weights depend on."""
    stage: int = 0
    """Stage in progress, from 0; the number of stages once all are done."""
    step: int = 0
    """Steps done in that stage."""
    best: float | None = None
    """Lowest validation loss so far in this stage."""


class State(NamedTuple):
    """A saved state as read back, on the CPU."""

    progress: Progress
    parameters: dict[str, Tensor]
    moments: dict[str, Tensor]
    rng: Tensor


def trainable(model: nn.Module, names: frozenset[str]) -> dict[str, Tensor]:
    """The parameters called `names`, detached, in the order of the model."""
    return {name: value.detach() for name, value in model.named_parameters() if name in names}


def save_state(path: Path, progress: Progress, parameters: dict[str, Tensor], optimizer: Optimizer | None) -> None:
    """Replace `path` by the present state, or leave it as it was.

    Raises:
        InterruptedTrainingError: the disk is full or the folder cannot be written; the older state is intact.
    """
    tensors = {f"parameter.{name}": value.cpu().contiguous() for name, value in parameters.items()}
    tensors |= {f"moment.{name}": value for name, value in _moments(optimizer).items()}
    tensors["rng.cpu"] = torch.get_rng_state()
    blob = save(tensors, metadata={_META: progress.model_dump_json()})
    try:
        atomic_write(path, blob)
    except OSError as error:
        raise full_disk(path, error) from error


def load_state(path: Path) -> State:
    """Read what `save_state` wrote.

    Raises:
        ResumeError: no such file, or not a training state.
    """
    if not path.is_file():
        raise ResumeError(f"no training state at {path}", hint="start without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress.model_validate_json((file.metadata() or {}).get(_META, ""))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, ValidationError, OSError) as error:
        raise ResumeError(f"{path} is damaged or no training state", expected="last.safetensors") from error
    return State(progress, _under(tensors, "parameter."), _under(tensors, "moment."), tensors["rng.cpu"])


def restore(state: State, model: nn.Module, optimizer: Optimizer | None) -> None:
    """Put a saved state back, strictly: same parameters, same shapes.

    Raises:
        ResumeError: the model lacks a saved parameter, or has it in another shape; both sides are named.
    """
    own = dict(model.named_parameters())
    for name, value in state.parameters.items():
        if name not in own or own[name].shape != value.shape:
            here = "absent" if name not in own else str(tuple(own[name].shape))
            raise ResumeError(f"saved parameter {name} {tuple(value.shape)}", expected=f"the model's, {here}")
        with torch.no_grad():
            own[name].copy_(value)
    if optimizer is not None:
        _restore_moments(optimizer, state.moments)
    torch.set_rng_state(state.rng)


def _moments(optimizer: Optimizer | None) -> dict[str, Tensor]:
    if optimizer is None:
        return {}
    moments: dict[str, Tensor] = {}
    for index, values in optimizer.state_dict()["state"].items():
        moments |= {f"{index}.{key}": value.cpu().contiguous() for key, value in values.items()}
    return moments


def _restore_moments(optimizer: Optimizer, moments: dict[str, Tensor]) -> None:
    content = optimizer.state_dict()
    content["state"] = {}
    for key, value in moments.items():
        index, name = key.split(".", 1)
        content["state"].setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(content)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
