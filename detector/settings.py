"""Options that `filo-forge.toml` and variables may set, so that nobody types a checkpoint twice.

The groups of options are models of their own: a request of a command is made of the groups it needs.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from descriptions.common.errors import SettingsError
from descriptions.common.settings import load
from detector import defaults
from detector.defaults import GateName, LocalizerName, RuntimeName

SECTION = "detector"

File = Annotated[Path, AfterValidator(Path.expanduser)]


class OptionGroup(BaseModel):
    """Options that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelChoice(OptionGroup):
    """Which model; an option for one of the three replaces all three of the settings."""

    preset: str | None = None
    """`mini` or `vitl`."""
    checkpoint: File | None = None
    """A checkpoint instead of a preset."""
    pretrained: str | None = None
    """CLIP weights: an open_clip tag or a file."""


class DinoFiles(OptionGroup):
    """What the localizer `grounding-dino` needs."""

    dino_weights: File | None = None
    """Grounding DINO checkpoint."""
    dino_text: str = defaults.DINO_TEXT
    """Folder with BERT's vocab.txt, or a hub name."""


class ProcessorChoice(OptionGroup):
    """Where a model runs."""

    device: str = defaults.DEVICE
    """auto, cpu, cuda, cuda:N or mps."""
    precision: str = defaults.PRECISION
    """auto, fp32, bf16 or fp16."""
    runtime: RuntimeName = defaults.RUNTIME
    """torch, onnx or openvino: what computes the features of images."""


class ReadSettings(OptionGroup):
    """How images are read."""

    max_size: Annotated[int, Field(ge=16)] = defaults.MAX_SIZE
    """Larger images are shrunk to this long side."""
    max_pixels: Annotated[int, Field(ge=1)] = defaults.MAX_PIXELS
    """Larger pictures are refused before they are decoded."""
    bits: Annotated[int, Field(ge=8, le=16)] | None = None
    """Bits that the values of 16-bit files use; found out per folder where nothing is said."""


class DetectorSettings(ReadSettings, ProcessorChoice, DinoFiles, ModelChoice):
    """Table `[detector]` of `filo-forge.toml`: what options are that are not typed; also `FILO_FORGE_<FIELD>`.

    `detect`, `eval`, `export`, `serve` and `watch` read the fields that are options of theirs; `train` reads `device`
    only, since what a model learns from is typed; `data check` reads `bits` and `max_pixels`; `references` reads the
    model and `device`.
    """

    localizer: LocalizerName = defaults.LOCALIZER
    """Who says where the anomaly may be."""
    gate: GateName = defaults.GATE
    """What the map is outside the boxes of Grounding DINO."""
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = defaults.BATCH_SIZE
    """Images a step of `detector detect`, or auto."""
    workers: Annotated[int, Field(ge=1)] = defaults.WORKERS
    """Threads that read images."""
    cache_gb: Annotated[float, Field(ge=0)] = defaults.CACHE_GB
    """GB of image features that `detector eval` keeps on disk."""

    def group(self, *groups: type[OptionGroup]) -> dict[str, Any]:
        """The fields of some groups, for the request of a command."""
        return self.model_dump(include={name for group in groups for name in group.model_fields})


def read_settings(**typed: Any) -> DetectorSettings:
    """Options of a command: as typed, else from a variable, else from the project's or user's file, else the default.

    Args:
        typed: options by field; None means that the option was not typed.

    Raises:
        SettingsError: a file, variable or option that makes no sense, or settings that name two models.
    """
    names_model = any(typed.get(field) is not None for field in ModelChoice.model_fields)
    settings = load(DetectorSettings, SECTION, typed, replaced=ModelChoice.model_fields if names_model else ())
    if not names_model and settings.preset and settings.checkpoint:
        raise SettingsError(f"both preset and checkpoint in the settings of [{SECTION}]", expected="one of them")
    if settings.localizer != "grounding-dino" and typed.get("dino_weights") is None:
        settings = settings.model_copy(update={"dino_weights": None})  # kept for runs that use it
    return settings


def saved_settings() -> dict[str, Any]:
    """What files and variables set, as plain JSON.

    Raises:
        SettingsError: see `read_settings`.
    """
    return read_settings().model_dump(mode="json", exclude_unset=True, exclude_none=True)
