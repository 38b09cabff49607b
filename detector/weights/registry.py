"""Ready-made models: a folder each, with `config.json` and, where we may ship them, `model.safetensors`.

mini    bundled, small, works offline; the default
vitl    ViT-L-14-336 at 518 pixels with OpenAI's weights, which open_clip fetches once

DetectorError
+-- PresetError     an unknown preset, or one whose files are not installed
"""

from pathlib import Path
from typing import TYPE_CHECKING

from descriptions.common.errors import nearest
from detector.errors import DetectorError

if TYPE_CHECKING:
    from detector.model.config import ModelConfig
    from detector.model.filo import FiLo

FOLDER = Path(__file__).resolve().parent.parent / "presets"
DEFAULT = "mini"
WEIGHTS = "model.safetensors"
"""The whole model, in our own checkpoint format."""
PRETRAINED = {"vitl": "openai"}
"""CLIP weights, by open_clip tag, of presets that bring none."""


class PresetError(DetectorError):
    """An unknown preset, or one whose files are not installed."""


def list_presets() -> list[str]:
    """All presets, the default first."""
    names = sorted(entry.name for entry in FOLDER.iterdir() if entry.is_dir() and not entry.name.startswith("_"))
    return sorted(names, key=lambda name: name != DEFAULT)


def resolve_preset(name: str | None = None) -> Path:
    """The folder of a preset, `mini` by default.

    Raises:
        PresetError: unknown, or its weights are missing from this installation.
    """
    name = name or DEFAULT
    if name not in list_presets():
        known = list_presets()
        raise PresetError(f"preset {name!r}", expected=f"one of: {', '.join(known)}", hint=nearest(name, known))
    if not (FOLDER / name / WEIGHTS).is_file() and name not in PRETRAINED:
        raise PresetError(
            f"the weights of preset {name!r} are not installed", hint="type --checkpoint FILE, or --preset vitl"
        )
    return FOLDER / name


def preset_config(name: str | None = None) -> "ModelConfig":
    """Configuration of a preset, `mini` by default.

    Raises:
        PresetError: see `resolve_preset`.
    """
    from detector.model.config import ModelConfig

    return ModelConfig.model_validate_json((resolve_preset(name) / "config.json").read_text(encoding="utf-8-sig"))


def load_preset(name: str | None = None, pretrained: str | Path | None = None) -> "FiLo":
    """The preset's model in fp32 on the CPU.

    Args:
        name: `mini` by default.
        pretrained: other CLIP weights, by open_clip tag or file, for presets that bring none.

    Raises:
        PresetError: see `resolve_preset`; or `pretrained` was given for a preset with its own weights.
        WeightsError: weights that cannot be fetched or do not fit.
    """
    from detector.weights.checkpoint import load_checkpoint
    from detector.weights.factory import create_model

    folder = resolve_preset(name)
    if not (folder / WEIGHTS).is_file():
        return create_model(preset_config(name), pretrained or PRETRAINED[folder.name])
    if pretrained is not None:
        raise PresetError(
            f"preset {folder.name!r} has its own CLIP weights",
            expected="no --pretrained",
            hint="leave it out, or type --preset vitl",
        )
    return load_checkpoint(folder / WEIGHTS)


def load_model(
    preset: str | None = None, checkpoint: Path | None = None, pretrained: str | Path | None = None
) -> "FiLo":
    """The model a command was asked for, in fp32 on the CPU: a checkpoint's, or a preset's.

    It is for inference: its kernels are folded, which takes half their memory and can no longer be trained or saved.

    Raises:
        DetectorError: a preset and a checkpoint were both asked for.
        PresetError: see `resolve_preset`.
        WeightsError: weights that are missing, damaged, or do not fit.
    """
    if preset and checkpoint:
        raise DetectorError("both --preset and --checkpoint", expected="one of them")
    from detector.weights.checkpoint import load_checkpoint

    model = (
        load_preset(preset, pretrained) if checkpoint is None else load_checkpoint(checkpoint, pretrained, fold=True)
    )
    model.decoder_cov.fold()
    return model
