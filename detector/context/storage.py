"""Banks as files: `.refs.safetensors`, which carry what they are of."""

from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from descriptions.common.files import staged
from detector.context.bank import Bank, BankError
from detector.context.info import BankInfo
from detector.errors import cannot_write

SUFFIX = ".refs.safetensors"
_INFO = "filo-forge-references"


def save_bank(bank: Bank, path: Path) -> None:
    """Write a bank; `path` is either the whole of it or untouched.

    Raises:
        BankError: the name does not end with `.refs.safetensors`.
        OutputError: the file cannot be written.
    """
    require_name(path)
    tensors = {"maps": torch.from_numpy(np.ascontiguousarray(bank.maps))}
    for level in range(len(bank.tokens[0])):
        tensors[f"lengths.{level}"] = torch.tensor([len(each[level]) for each in bank.tokens])
        tensors[f"tokens.{level}"] = torch.cat([each[level] for each in bank.tokens])
        tensors[f"spreads.{level}"] = torch.cat([each[level] for each in bank.spreads])
    try:
        with staged(path) as part:
            save_file(tensors, part, metadata={_INFO: bank.info.model_dump_json()})
    except OSError as error:
        raise cannot_write(path, error) from error


def require_name(path: Path) -> None:
    """Refuse a name that no bank has.

    Raises:
        BankError: it does not end with `.refs.safetensors`.
    """
    if not path.name.endswith(SUFFIX):
        raise BankError(f"{path}", expected=f"a name that ends with {SUFFIX}", hint=f"type --out NAME{SUFFIX}")


def load_bank(path: Path) -> Bank:
    """A bank as it was saved.

    Raises:
        BankError: no such file, not a bank, damaged, empty, or with NaN or infinity in it.
    """
    if not path.is_file():
        raise BankError(f"no file {path}", expected=f"references (a {SUFFIX} file)")
    try:
        with safe_open(path, framework="pt") as file:
            info = BankInfo.model_validate_json((file.metadata() or {})[_INFO])
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        count = sum(name.startswith("tokens.") for name in stored)
        levels, spread = (
            [stored[f"{name}.{at}"].split(stored[f"lengths.{at}"].tolist()) for at in range(count)]
            for name in ("tokens", "spreads")
        )
        maps = stored["maps"]
    except (SafetensorError, ValidationError, KeyError, RuntimeError, OSError) as error:
        raise BankError(
            f"{path} holds no references, or is damaged",
            expected=f"a {SUFFIX} file of `detector references build`",
            hint="build it again",
        ) from error
    if not all(bool(torch.isfinite(tensor.float()).all()) for tensor in stored.values()):
        raise BankError(f"{path} holds NaN or infinity", expected="numbers", hint="build it again")
    tokens = [tuple(level) for level in zip(*levels, strict=True)]
    if not tokens or not len(tokens) == len(info.references) == len(maps):
        raise BankError(
            f"{path} holds {len(tokens)} photos and says {len(info.references)}", expected="at least one and as many",
            hint="build it again",
        )  # fmt: skip
    return Bank(info, tokens, [tuple(level) for level in zip(*spread, strict=True)], maps.numpy())
