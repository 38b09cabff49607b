"""Ready-made models: a folder each, with `config.json` and, where we may ship them, `model.safetensors`.

mini    bundled, small, works offline; the default
vitl    ViT-L-14-336 at 518 pixels with OpenAI's weights, which open_clip fetches once

DetectorError
+-- PresetError     an unknown preset, or one whose files are not installed
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from descriptions.errors import nearest
from detector.errors import DetectorError

if TYPE_CHECKING:
    from detector.model.config import ModelConfig
    from detector.model.filo import FiLo

FOLDER = Path(__file__).resolve().parent
DEFAULT = "mini"
PRETRAINED = {"vitl": "openai"}
"""CLIP weights, by open_clip tag, of presets that hold none."""


class PresetError(DetectorError):
    """An unknown preset, or one whose files are not installed."""


class Preset(NamedTuple):
    """Where a preset's parts are."""

    name: str
    config: Path | None
    """`ModelConfig` as JSON; None where the checkpoint carries it."""
    checkpoint: Path | None
    """Whole model; None where CLIP comes from `pretrained` and the rest is untrained."""
    pretrained: str | None
    """open_clip tag."""


def names() -> list[str]:
    """All presets, the default first."""
    found = sorted(entry.name for entry in FOLDER.iterdir() if entry.is_dir() and not entry.name.startswith("_"))
    return sorted(found, key=lambda name: name != DEFAULT)


def resolve_preset(name: str | None = None) -> Preset:
    """The preset of that name, `mini` by default.

    Raises:
        PresetError: unknown, or its files are missing from this installation.
    """
    name = name or DEFAULT
    if name not in names():
        raise PresetError(f"preset {name!r}", expected=f"one of: {', '.join(names())}", hint=nearest(name, names()))
    checkpoint, config = FOLDER / name / "model.safetensors", FOLDER / name / "config.json"
    pretrained = PRETRAINED.get(name)
    if not checkpoint.is_file() and (pretrained is None or not config.is_file()):
        raise PresetError(
            f"the files of preset {name!r} are not installed", hint="type --checkpoint FILE, or --preset vitl"
        )
    return Preset(name, config if config.is_file() else None, checkpoint if checkpoint.is_file() else None, pretrained)


def load_preset(name: str | None = None) -> "FiLo":
    """The preset's model in fp32 on the CPU.

    Raises:
        PresetError: see `resolve_preset`.
        WeightsError: weights that cannot be fetched or do not fit.
    """
    preset = resolve_preset(name)
    if preset.checkpoint is not None:
        from detector.checkpoint import load_model

        return load_model(preset.checkpoint)
    from detector.build import build_model

    return build_model(preset_config(preset), preset.pretrained)


def preset_config(preset: Preset) -> "ModelConfig":
    """The preset's `config.json`.

    Raises:
        PresetError: it has none; its checkpoint carries the configuration.
    """
    from detector.model.config import ModelConfig

    if preset.config is None:
        raise PresetError(f"preset {preset.name!r} has no config.json", expected="the configuration in its checkpoint")
    return ModelConfig.model_validate_json(preset.config.read_text(encoding="utf-8"))
