"""What `filo-forge.toml` and variables say instead of options, so that nobody types a checkpoint twice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from descriptions.common.errors import SettingsError
from descriptions.common.settings import load

SECTION = "detector"
MODEL = ("preset", "checkpoint", "pretrained")
"""Fields that say together which model it is; an option for one of them replaces all three."""

File = Annotated[Path, AfterValidator(Path.expanduser)]

COMMANDS = ("detect", "eval", "export", "serve", "train", "watch")
"""Those that read the settings."""


class DetectorSettings(BaseModel):
    """Table `[detector]` of `filo-forge.toml`: what options are that are not typed; also `FILO_FORGE_<FIELD>`.

    `detect`, `eval`, `export`, `serve` and `watch` read the fields that are options of theirs; `train` reads `device`
    only, since what a model learns from is typed; `data check` reads `bits` and `max_pixels`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    preset: str | None = None
    """`mini` or `vitl`."""
    checkpoint: File | None = None
    """A checkpoint instead of a preset."""
    pretrained: str | None = None
    """CLIP weights: an open_clip tag or a file."""
    localizer: Literal["self", "none", "grounding-dino"] = "self"
    """Who says where the anomaly may be."""
    gate: Literal["soft", "hard", "none"] = "soft"
    """What the map is outside the boxes of Grounding DINO."""
    dino_weights: File | None = None
    """Grounding DINO checkpoint."""
    dino_text: str = "bert-base-uncased"
    """Folder with BERT's vocab.txt, or a hub name."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: str = "auto"
    """auto, fp32, bf16 or fp16."""
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Images a step of `detector detect`, or auto."""
    workers: Annotated[int, Field(ge=1)] = 2
    """Threads that read images."""
    max_size: Annotated[int, Field(ge=16)] = 4096
    """Larger images are shrunk to this long side."""
    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Larger pictures are refused before they are decoded."""
    bits: Annotated[int, Field(ge=8, le=16)] | None = None
    """Bits that the values of 16-bit files use; found out per folder where nothing is said."""
    cache_gb: Annotated[float, Field(ge=0)] = 20.0
    """GB of image features that `detector eval` keeps on disk."""


def option_defaults(typed: Sequence[str] = ()) -> dict[str, Any]:
    """What options are where they are not typed, by command and parameter, as click's `default_map` wants it.

    Args:
        typed: words of the command line; one that names a model sets aside the model of the file.

    Raises:
        SettingsError: a file or variable that makes no sense, or that names two models.
    """
    settings = load(DetectorSettings, SECTION)
    chosen = settings.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    if "preset" in chosen and "checkpoint" in chosen:
        raise SettingsError(f"both preset and checkpoint in the settings of [{SECTION}]", expected="one of them")
    options = {word.partition("=")[0] for word in typed}
    if options & {f"--{name}" for name in MODEL}:
        chosen = {name: value for name, value in chosen.items() if name not in MODEL}
    device = {name: value for name, value in chosen.items() if name == "device"}
    kept = dict.fromkeys(("build", "add"), chosen)
    return {**dict.fromkeys(COMMANDS, chosen), "train": device, "references": kept}  # what a model learns from is typed
