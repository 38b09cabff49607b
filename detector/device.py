"""Which processor and which precision, and what to say when the asked one is not there.

DetectorError
+-- DeviceError         a processor this machine does not have
"""

from typing import Literal, get_args

import torch

from detector.errors import DetectorError

Precision = Literal["auto", "fp32", "bf16", "fp16"]


class DeviceError(DetectorError):
    """A processor or precision this machine does not have."""


def resolve_device(name: str = "auto") -> torch.device:
    """`auto` takes CUDA, else MPS, else the CPU.

    Raises:
        DeviceError: an unknown name, or a processor that is not here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r}", expected="auto, cpu, cuda, cuda:N or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"device {name!r}", expected="auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"no GPU for --device {name}: {torch.cuda.device_count()} found", hint="type --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("no Apple GPU for --device mps", hint="type --device cpu")
    return device


def precision_name(name: str, device: torch.device) -> str:
    """`fp32`, `bf16` or `fp16`; `auto` is bfloat16 on a GPU and float32 elsewhere.

    Raises:
        DeviceError: an unknown name, or fp16 on the CPU, which lacks parts of it.
    """
    if name not in get_args(Precision):
        raise DeviceError(f"precision {name!r}", expected=" or ".join(get_args(Precision)))
    if name == "fp16" and device.type == "cpu":
        raise DeviceError("fp16 on the CPU", expected="fp32 or bf16", hint="type --precision fp32")
    if name == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    return name


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of the towers' weights.

    Raises:
        DeviceError: see `precision_name`.
    """
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return types[precision_name(name, device)]


def parse_batch_size(text: str) -> int | None:
    """What `--batch-size` says: None for `auto`.

    Raises:
        DetectorError: neither `auto` nor a number from 1.
    """
    if text == "auto":
        return None
    if not (text.isdecimal() and int(text)):
        raise DetectorError(f"batch size {text!r}", expected="auto or a number from 1")
    return int(text)


def resolve_batch_size(asked: int | None, device: torch.device) -> int:
    """Images per step: as asked, else 16 on a GPU, and 4 elsewhere, where they are only read ahead together."""
    return asked or (16 if device.type == "cuda" else 4)
