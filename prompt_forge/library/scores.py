"""What an evaluation found out about each description: the `contributions.json` that it leaves in its run folder."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from descriptions.common.files import read_text
from descriptions.format.schema import DescriptionFile
from prompt_forge.errors import PromptForgeError

FILE = "contributions.json"
MAX_BYTES = 16 * 1024 * 1024

Verdict = Literal["helps", "hurts", "no evidence"]


class ScoresError(PromptForgeError):
    """A file of contributions that is missing, damaged, or about another version."""


class Contribution(BaseModel):
    """What leaving one description out changes."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    """Id of the anomaly."""
    verdict: Verdict
    """Whether the detector is better with it."""
    image_auroc_delta: float | None = None
    """Image AUROC with it minus without it."""
    interval: tuple[float, float] | None = None
    """Bootstrap interval of the delta."""
    pixel_ap_delta: float | None = None
    """Pixel AP with it minus without it; None where the images have no masks."""
    pixel_ap_interval: tuple[float, float] | None = None
    """Bootstrap interval of that."""


class Contributions(BaseModel):
    """Contributions of all descriptions of one version; keys this reader does not know are ignored."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    category: str
    """Category evaluated."""
    version: Annotated[int, Field(ge=1)]
    """Version evaluated."""
    content_hash: str
    """What the detector read."""
    phrases: tuple[Contribution, ...]
    """One for each description."""

    @property
    def by_id(self) -> dict[str, Contribution]:
        """Contributions by the id of their anomaly."""
        return {phrase.id: phrase for phrase in self.phrases}


_ONE_OR_MANY: TypeAdapter[Contributions | tuple[Contributions, ...]] = TypeAdapter(
    Annotated[
        Annotated[Contributions, Tag("one")] | Annotated[tuple[Contributions, ...], Tag("many")],
        Discriminator(lambda value: "many" if isinstance(value, list | tuple) else "one"),
    ]
)
"""A run over one version leaves one object, a run over several a list of them."""


def read_contributions(path: Path, description: DescriptionFile) -> Contributions:
    """Read the contributions of `description`.

    Args:
        path: the JSON file, or the run folder that holds it.
        description: the version the numbers must be about.

    Raises:
        ScoresError: unreadable, not of this form, or about other content.
    """
    if path.is_dir():  # a run over several versions keeps a file for each
        own = path / "contributions" / f"{description.category}-v{description.version}.json"
        path = own if own.is_file() else path / FILE
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ScoresError(f"{path} is too large", expected=f"at most {MAX_BYTES} bytes")
        read = _ONE_OR_MANY.validate_json(read_text(path))
    except UnicodeDecodeError as error:
        raise ScoresError(f"{path} is not UTF-8", expected=FILE) from error
    except OSError as error:
        hint = "make it with: detector eval --contributions --out RUN"
        raise ScoresError(f"cannot read {path}: {error.strerror}", expected=FILE, hint=hint) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"][1:])
        raise ScoresError(f"{path}: {field + ': ' if field else ''}{first['msg']}", expected=FILE) from error
    known = read if isinstance(read, tuple) else (read,)
    for version in known:
        if (version.category, version.content_hash) == (description.category, description.content_hash):
            return version
    raise ScoresError(
        f"{path} is about {', '.join(f'{one.category}@{one.version}' for one in known) or 'nothing'} as evaluated",
        expected=f"contributions of {description.ref}",
        hint=f"name that version, or evaluate again: detector eval --descriptions {description.ref}",
    )
