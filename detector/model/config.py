"""What a model is made of, as one frozen value that travels in every checkpoint."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Variant = Literal["released", "filo"]
Positive = Annotated[int, Field(ge=1)]
Triple = tuple[float, float, float]


class ModelConfig(BaseModel):
    """Backbone, size and variant of a FiLo model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    backbone: str = "ViT-L-14-336"
    """open_clip model name, or the path of an open_clip JSON config."""
    architecture: dict[str, Any] | None = None
    """The open_clip config itself; filled in when the model is built, so that a checkpoint needs no file beside it."""
    image_size: Positive = 518
    """Side of the square input in pixels; a multiple of the patch size."""
    variant: Variant = "filo"
    """`filo`: the method as published; `released`: bit for bit what the published checkpoints were trained with."""
    feature_levels: Annotated[tuple[Positive, ...], Field(min_length=1)] = (6, 12, 18, 24)
    """Blocks (1-based) whose patch tokens the decoders read, ascending."""
    single_path_blocks: Annotated[int, Field(ge=0)] = 6
    """Blocks without the V-V path; levels above feed the convolutional decoders."""
    token_contrast: bool = False
    """Linear decoders read each token at unit length beside its difference from its photo's mean; no step of FiLo."""
    embedding_block: Positive | None = None
    """Block (1-based) whose CLS token becomes the image embedding; FiLo reads no later one. None: the last."""
    context_levels: tuple[Positive, ...] | None = None
    """Blocks (1-based) whose patch tokens are compared with other photos, ascending; None: `feature_levels`."""
    context_size: Positive | None = None
    """Side in pixels of the square that photos are compared at; None: `image_size`."""
    context_tokens: Positive = 12
    """Learned context tokens between the start token and the words."""
    quick_gelu: bool | None = None
    """Activation of both towers; None: exact GELU for `released`, what the weights were trained with for `filo`."""
    mean: Triple = (0.48145466, 0.4578275, 0.40821073)
    """Per-channel mean that pixels are normalised with (RGB, unit range)."""
    std: Triple = (0.26862954, 0.26130258, 0.27577711)
    """Per-channel standard deviation."""

    @model_validator(mode="after")
    def _levels_ascend(self) -> "ModelConfig":
        for name, levels in (("feature_levels", self.feature_levels), ("context_levels", self.levels_of_context)):
            if not levels or list(levels) != sorted(set(levels)):
                raise ValueError(f"{name} {levels} must ascend, such as (6, 12, 18, 24)")
        if self.embedding_block is not None and self.feature_levels[-1] > self.embedding_block:
            raise ValueError(
                f"feature_levels {self.feature_levels} must not pass embedding_block {self.embedding_block}"
            )
        return self

    @property
    def levels_of_context(self) -> tuple[int, ...]:
        """Blocks whose patch tokens are compared with other photos."""
        return self.feature_levels if self.context_levels is None else self.context_levels

    @property
    def size_of_context(self) -> int:
        """Side in pixels of the square that photos are compared at."""
        return self.context_size or self.image_size

    @property
    def conv_levels(self) -> tuple[int, ...]:
        """Levels that have a V-V stream, and so a convolutional decoder."""
        return tuple(level for level in self.feature_levels if level > self.single_path_blocks)
