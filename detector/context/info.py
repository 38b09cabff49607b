"""What a bank of references says about itself."""

from pydantic import BaseModel, ConfigDict


class Reference(BaseModel):
    """One good photo."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Path as given."""
    content: str
    """SHA-256 of its pixels, upright and in RGB."""


class BankInfo(BaseModel):
    """What a bank says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: str
    """Fingerprint of the image tower and its levels."""
    size: int
    """Side in pixels that photos are resized to."""
    category: str = ""
    """Product; empty fits every one."""
    preset: str = ""
    """What the model was called when the bank was built."""
    rotations: int = 1
    """Directions each photo was turned to."""
    max_patches: int | None = None
    """Tokens a level that a core set was reduced to; None keeps all."""
    references: tuple[Reference, ...] = ()
    """In the order of the tokens."""
    by_itself: bool = False
    """Whether the one reference was calibrated against its own flips and turns."""
