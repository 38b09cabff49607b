"""Processors and precisions that are here, and those that are not."""

import pytest
import torch

from detector.device import DeviceError, resolve_batch_size, resolve_device, resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("nvidia", "apple", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_that_is_here(monkeypatch, nvidia, apple, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: nvidia)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(nvidia))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)
    assert resolve_device().type == expected


def test_the_cpu_is_always_here():
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("name", ["quantum", "cuda:99", "meta"])
def test_a_processor_that_is_not_here(name: str):
    with pytest.raises(DeviceError):
        resolve_device(name)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="an Apple GPU is here")
def test_no_apple_gpu():
    with pytest.raises(DeviceError, match="type --device cpu"):
        resolve_device("mps")


def test_precision():
    assert resolve_precision("auto", CPU) == torch.float32
    assert resolve_precision("auto", torch.device("cuda")) == torch.bfloat16
    assert resolve_precision("bf16", CPU) == torch.bfloat16
    for name in ("fp8", "fp16"):
        with pytest.raises(DeviceError):
            resolve_precision(name, CPU)


def test_batch_size():
    assert resolve_batch_size(None, CPU) == 4
    assert resolve_batch_size(3, CPU) == 3
    assert resolve_batch_size(None, torch.device("cuda")) == 16
