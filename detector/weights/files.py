"""Reading weight files: never executing what they hold, never half."""

import pickle
import warnings
import zipfile
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from descriptions.common.errors import nearest
from detector.errors import DetectorError
from detector.model.image_tower import resize_positions

POSITIONS = "visual.positional_embedding"
ROWS, VALUES = ".rows", ".values"
"""Endings of the pair that stands for a tensor with many zero rows: which there are and how many in all; the others."""
_SCALARS = ("input_resolution", "context_length", "vocab_size")
"""Entries of OpenAI's archives that are no weights."""


class WeightsError(DetectorError):
    """Weights that cannot be read, or do not fit the model."""


def without_zero_rows(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, those with more zero rows than others as the pair that `WeightFile` puts together again."""
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        rows = tensor.flatten(1).any(1).nonzero()[:, 0] if tensor.ndim > 1 else None
        if rows is None or 2 * len(rows) > len(tensor):
            packed[name] = tensor
        else:
            packed[name + ROWS] = torch.cat([rows, torch.tensor([len(tensor)])]).int()
            packed[name + VALUES] = tensor[rows]
    return packed


class WeightFile(Mapping[str, Tensor]):
    """Tensors of a .safetensors file by name, each read anew when it is asked for.

    A model is filled tensor by tensor, so that its weights are in memory once. The file is opened for every tensor
    because what was read through one opening stays mapped until all of it is given up.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self.path = path
        with safe_open(path, framework="pt") as file:
            stored = tuple(file.keys())
        self._sparse = {name.removesuffix(ROWS) for name in stored if name.endswith(ROWS)}
        self._names = (*self._sparse, *(name for name in stored if not name.endswith((ROWS, VALUES))))

    def __getitem__(self, name: str) -> Tensor:
        from safetensors import safe_open

        if name not in self._names:
            raise KeyError(name)
        with safe_open(self.path, framework="pt") as file:
            if name in self._sparse:
                return _with_zero_rows(file.get_tensor(name + ROWS), file.get_tensor(name + VALUES))
            tensor: Tensor = file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _with_zero_rows(rows: Tensor, values: Tensor) -> Tensor:
    *present, total = rows.tolist()
    whole = values.new_zeros((total, *values.shape[1:]))
    whole[present] = values
    return whole


def read_weights(path: Path) -> Mapping[str, Any]:
    """What a .pt, .pth or .safetensors file holds: tensors by name, or a dictionary of such dictionaries.

    Nothing in the file is executed: pickles are read with `weights_only`. A TorchScript archive, as OpenAI ships
    CLIP, gives its parameters, and is refused where reading it would run code of its own. Where the format allows,
    tensors stay on disk until they are used.

    Raises:
        WeightsError: no such file, or not a weight file.
    """
    if not path.is_file():
        raise WeightsError(f"no file {path}", expected="weights (.pt, .pth or .safetensors)")
    try:
        if path.suffix == ".safetensors":
            return WeightFile(path)
        if is_torchscript(path):
            _require_inert(path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the format is deprecated, OpenAI's files are not going to change
                return dict(torch.jit.load(str(path), map_location="cpu").state_dict())  # type: ignore[no-untyped-call]
        mapped = zipfile.is_zipfile(path)  # the format before it cannot be
        return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=mapped))
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:  # whose text is a page about torch.load
        raise WeightsError(f"{path} is no file of tensors", expected="weights (.pt, .pth or .safetensors)") from error
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: {reason}", expected="weights (.pt, .pth or .safetensors)") from error


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive; of CLIP weights, only OpenAI's own come so."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _require_inert(path: Path) -> None:
    """Refuse a TorchScript archive with a `__setstate__`, the one method that runs while an archive is read."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if "/code/" in name and b"__setstate__" in archive.read(name):
                raise WeightsError(f"{path} runs code of its own while it is read", expected="weights alone")


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load all of `weights` into all of `module`.

    Raises:
        WeightsError: a missing, unexpected, misshaped or not finite tensor; the first few are named, and the module
            is as it was.
    """
    require_fit(module, weights, source)
    fill(module, weights, weights)


def fill(module: nn.Module, weights: Mapping[str, Tensor], names: Iterable[str]) -> None:
    """Copy tensors of these names, one after the other, into parameters and buffers that have their shape."""
    target = module.state_dict()
    with torch.no_grad():
        for name in names:
            target[name].copy_(weights[name])


def require_fit(module: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that are not exactly those of `module`.

    Raises:
        WeightsError: a missing, unexpected, misshaped or not finite tensor; the first few are named.
    """
    target = module.state_dict()
    problems = [f"lacks {name}" for name in target if name not in weights]
    problems += [f"has the unknown {name}" for name in weights if name not in target]
    for name in target.keys() & weights.keys():
        tensor = weights[name]
        if tensor.shape != target[name].shape:
            problems.append(f"has {name} {_shape(tensor)} where the model has {_shape(target[name])}")
        elif not torch.isfinite(tensor).all():
            problems.append(f"holds NaN or infinity in {name}")
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(f"{source} {', '.join(problems[:3])}{more}", expected="weights of exactly this model")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def load_pretrained(clip: nn.Module, backbone: str, pretrained: str | Path) -> None:
    """CLIP weights from an open_clip tag or a local file, with the position embedding resized to the image size.

    Raises:
        WeightsError: unknown tag, unreadable file, or weights of another architecture.
    """
    path = Path(pretrained)
    if not path.is_file():
        path = _download(backbone, str(pretrained))
    weights = read_weights(path)
    weights = weights.get("state_dict", weights)
    if not isinstance(weights, WeightFile):
        weights = {name.removeprefix("module."): tensor for name, tensor in weights.items() if name not in _SCALARS}
    if POSITIONS in weights:
        side = int((len(clip.get_parameter(POSITIONS)) - 1) ** 0.5)
        weights = ChainMap({POSITIONS: resize_positions(weights[POSITIONS].float(), side)}, weights)  # type: ignore[arg-type]  # only read
    load_strictly(clip, weights, str(path))


def _download(backbone: str, tag: str) -> Path:
    """The file behind an open_clip tag, fetched into open_clip's cache."""
    import open_clip

    known = open_clip.get_pretrained_cfg(backbone, tag)
    if not known:
        tags = open_clip.list_pretrained_tags_by_model(backbone)
        raise WeightsError(
            f"no weights {tag!r} for {backbone!r}",
            expected=f"a file, or one of {', '.join(tags) or 'none'}",
            hint=nearest(tag, tags),
        )
    try:
        return Path(open_clip.download_pretrained(known))
    except Exception as error:  # network, hub and disk errors of three libraries
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"weights {tag!r} of {backbone!r} could not be fetched: {reason}",
            hint="download them elsewhere and pass the path of the file",
        ) from error
