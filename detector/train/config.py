"""What a training run is: one frozen value, recorded whole in the run folder."""

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from descriptions.common.errors import nearest, wanted
from detector.train.errors import TrainError

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class TrainConfig(BaseModel):
    """Schedule, rates, losses and augmentation. Defaults are the preset `filo`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    variant: Literal["released", "filo"] = "filo"
    """Which of the two models is trained."""
    main_epochs: Annotated[int, Field(ge=0)] = 15
    """Passes over the data for contexts, meta nets and decoders."""
    adapter_epochs: Annotated[int, Field(ge=0)] = 5
    """Passes over the data for the adapter, afterwards."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Images a step and process."""
    lr_prompt: Positive = 1e-3
    """Peak rate of context tokens and meta nets."""
    lr_decoder: Positive = 1e-4
    """Peak rate of the patch decoders."""
    lr_adapter: Positive = 1e-5
    """Peak rate of the adapter."""
    betas: tuple[Fraction, Fraction] = (0.5, 0.999)
    """AdamW moments."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW decay."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Rate over the steps of a stage, after the warm-up."""
    warmup_steps: Annotated[int, Field(ge=0)] = 50
    """Steps of linear warm-up."""
    clip_norm: Positive | None = 1.0
    """Largest gradient norm; none leaves gradients alone."""
    dice: Literal["row", "image"] = "image"
    """Dice summed over each image, or over each row of it as the release does."""
    position: Literal["all", "mask"] = "all"
    """Prompts of all nine regions, or of the region of the mask's largest defect."""
    mosaic_rate: Fraction = 0.2
    """Share of images replaced by a 2 x 2 mosaic of images of the same category."""
    flip: bool = True
    """Random mirroring, left-right and up-down."""
    photometric: Fraction = 0.1
    """Largest relative change of brightness and contrast."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """`auto`: bf16-mixed on a GPU, 32-true elsewhere."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of each category and label held out of the training set."""
    validate_every: Annotated[int, Field(ge=0)] = 200
    """Steps between validations; 0 never."""
    save_every: Annotated[int, Field(ge=1)] = 50
    """Steps between states on disk; a kill costs at most this many steps of work, never a different result."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides order, held-out part and augmentation."""

    @property
    def augments(self) -> bool:
        """Whether any picture may differ from the file; without, frozen features can be kept."""
        return self.mosaic_rate > 0 or self.flip or self.photometric > 0

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) over every field that changes the resulting weights."""
        content = self.model_dump_json(exclude={"save_every"})
        return hashlib.sha256(content.encode()).hexdigest()


PRESETS = {
    "filo": TrainConfig(),
    "filo-released": TrainConfig(
        variant="released",
        batch_size=1,
        schedule="constant",
        warmup_steps=0,
        clip_norm=None,
        dice="row",
        flip=False,
        photometric=0,
        precision="32-true",
        validation_fraction=0,
        validate_every=0,
    ),
}
"""Named configurations. `filo-released` is the schedule of the release, whose mosaics were for MVTec only."""


def preset(name: str) -> TrainConfig:
    """The configuration called `name`.

    Raises:
        TrainError: there is none; the nearest name is offered.
    """
    if name in PRESETS:
        return PRESETS[name]
    raise TrainError(f"training preset {name!r}", expected=" or ".join(PRESETS), hint=nearest(name, list(PRESETS)))


def training_config(recipe: str, file: Path | None = None, changes: Iterable[str] = ()) -> TrainConfig:
    """A preset with the changes of a TOML file, then those of `key=value` texts.

    Raises:
        TrainError: no such preset, file or field, or a value of the wrong kind; the field is named.
    """
    content: dict[str, Any] = preset(recipe).model_dump()
    content |= _read(file) if file is not None else {}
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator or not key.strip():
            raise TrainError(f"--set {change}", expected="key=value, such as batch_size=4")
        content[key.strip()] = _value(value.strip())
    try:
        return TrainConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = list(TrainConfig.model_fields)
            hint = nearest(name, known) or f"they are {', '.join(known)}"
            raise TrainError(f"no training setting {name}", hint=hint) from error
        raise TrainError(f"training setting {name} = {first['input']!r}", expected=wanted(first["msg"])) from error


def _value(text: str) -> str | list[str] | None:
    """`none`, numbers with commas between (`betas=0.5,0.999`), or one value."""
    if text == "none":
        return None
    return text.split(",") if "," in text else text


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainError(f"{file}: {error}", expected="a TOML file of training settings") from error
