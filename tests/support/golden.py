"""Golden vectors: sizes, tensors and tolerances, all read from the folder's manifest."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from detector.localize.regions import REGIONS
from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.scoring.prompts import AnomalyText, PromptSet, prompt_set
from detector.weights.factory import create_model
from detector.weights.files import load_strictly

FLOOR = 1e-7
"""Smallest tolerance; the manifest's own note gives it for tensors whose noise happens to be smaller."""


class Golden:
    """A folder of golden vectors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.sizes: dict[str, Any] = self.manifest["config"]
        self._loaded: dict[str, dict[str, Tensor]] = {}

    def tensors(self, file: str) -> dict[str, Tensor]:
        """All tensors of `file`.safetensors."""
        if file not in self._loaded:
            self._loaded[file] = load_file(self.folder / f"{file}.safetensors")
        return self._loaded[file]

    def noise(self, file: str, name: str) -> float:
        """Difference between the official fp32 and fp64 runs, 0 where none is stored."""
        return float(self.manifest["files"][f"{file}.safetensors"]["tensors"][name].get("fp32_vs_fp64_maxabs") or 0)

    def check(self, file: str, name: str, actual: Tensor, floor: float = FLOOR) -> None:
        """Assert that `actual` is the stored tensor within ten times its noise."""
        expected = self.tensors(file)[name]
        assert actual.shape == expected.shape, f"{file} {name}: {tuple(actual.shape)} against {tuple(expected.shape)}"
        difference = (actual.detach().double() - expected.double()).abs().max().item()
        tolerance = max(10 * self.noise(file, name), floor)
        assert difference <= tolerance, f"{file} {name}: off by {difference:.2e}, allowed {tolerance:.2e}"

    @property
    def architecture(self) -> dict[str, Any]:
        """The open_clip config of the golden CLIP."""
        sizes = self.sizes
        return {
            "embed_dim": sizes["embed_dim"],
            "vision_cfg": {
                "image_size": sizes["image_size"],
                "patch_size": sizes["patch_size"],
                "width": sizes["vis_width"],
                "layers": sizes["vis_layers"],
                "head_width": sizes["vis_width"] // sizes["vis_heads"],
            },
            "text_cfg": {
                "context_length": sizes["context_length"],
                "vocab_size": sizes["vocab_size"],
                "width": sizes["text_width"],
                "heads": sizes["text_heads"],
                "layers": sizes["text_layers"],
            },
        }

    @property
    def config(self) -> ModelConfig:
        """The golden model, variant `released`."""
        return ModelConfig(
            backbone="golden",
            architecture=self.architecture,
            image_size=self.sizes["image_size"],
            variant="released",
            feature_levels=tuple(self.sizes["features_list"]),
            single_path_blocks=self.sizes["n_single"],
            context_tokens=self.sizes["n_ctx"],
        )

    def weights(self) -> dict[str, Tensor]:
        """All weights in fp32, by our own parameter names."""
        return {name: tensor.float() for name, tensor in self.tensors("weights").items()}

    def create_model(self) -> FiLo:
        """A golden model of one's own, for tests that change its weights."""
        model = create_model(self.config)
        load_strictly(model, self.weights(), "golden weights")
        return model

    @cached_property
    def model(self) -> FiLo:
        """The golden model with its weights."""
        return self.create_model()

    def prompts(self, dataset_class: str) -> PromptSet:
        """Prompts of a class as the release keys them: by mapped name, the last class of the list winning."""
        mapped = self.manifest["class_name_map"]
        name = mapped[dataset_class.replace("_", " ")]
        spoken = [each.replace("_", " ") for each in self.manifest["dataset_class_names"]]
        last = [each for each in spoken if mapped[each] == name][-1]
        return prompt_set(
            name,
            self.manifest["status_normal"],
            [AnomalyText(f"d{i}", text) for i, text in enumerate(self.manifest["descriptions"][last])],
            self.manifest["status_abnormal_generic"],
            context_tokens=self.sizes["n_ctx"],
        )

    def positions(self, names: list[str] | None) -> tuple[int, ...]:
        """Region indices of a case."""
        return tuple(REGIONS.index(name) for name in names or ())

    def pixels(self, image: int) -> Tensor:
        """Preprocessed image by number."""
        return self.tensors("vision")[f"preprocessed.{image}"]

    def image(self, kind: str, number: int) -> Image.Image:
        """The PNG `img` or `mask` of that number."""
        (path,) = (self.folder / "images").glob(f"{kind}{number}_*.png")
        return Image.open(path)


_CACHE: dict[Path, Golden] = {}


def golden_set(folder: Path) -> Golden:
    """The vectors of a folder, read once a test run."""
    if folder not in _CACHE:
        torch.manual_seed(0)
        _CACHE[folder] = Golden(folder)
    return _CACHE[folder]
