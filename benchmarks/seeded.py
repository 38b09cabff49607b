"""What the benchmarks share: a model of full size with seeded weights, its prompts, and the memory it took."""

import argparse
from pathlib import Path

import torch

from descriptions.format.schema import ABNORMAL_STATES, NORMAL_STATES
from detector.model.config import ModelConfig, Variant
from detector.model.filo import FiLo
from detector.scoring.prompts import AnomalyText, PromptSet, prompt_set
from detector.weights.factory import create_model

PARTS = ("rim", "cap", "hub", "edge", "side")
DEFECTS = [f"{kind} the {part}" for kind in ("deep scratch on", "missing piece of") for part in PARTS]


def prompts() -> PromptSet:
    """7 normal states, and 15 abnormal ones for each of nine regions: 142 prompts."""
    entries = [AnomalyText(f"d{number}", text) for number, text in enumerate(DEFECTS)]
    return prompt_set("metal nut", NORMAL_STATES, entries, ABNORMAL_STATES)


def parser(about: str | None) -> argparse.ArgumentParser:
    """Options that say which model."""
    arguments = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--backbone", default="ViT-L-14-336")
    arguments.add_argument("--image-size", type=int, default=518)
    arguments.add_argument("--levels", type=int, nargs="+", default=[6, 12, 18, 24])
    arguments.add_argument("--single", type=int, default=6)
    return arguments


def build(args: argparse.Namespace, variant: Variant = "filo") -> FiLo:
    """That model; no download is needed."""
    torch.manual_seed(0)
    config = ModelConfig(
        backbone=args.backbone,
        image_size=args.image_size,
        feature_levels=tuple(args.levels),
        single_path_blocks=args.single,
        variant=variant,
    )
    return create_model(config)


def resident_peak() -> float:
    """Peak resident memory of this process in GB; `getrusage` would count the parent's from before the exec."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9
