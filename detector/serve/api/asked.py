"""What a request for detections asks for, checked before a picture is scored."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from descriptions.common.errors import wanted
from descriptions.format.schema import DescriptionFile
from detector.detect.references import ReferenceScorer
from detector.detect.together import TogetherScorer
from detector.runs.detect_request import parse_rate
from detector.scoring.threshold import Threshold
from detector.serve.api.uploads import Form
from detector.serve.errors import ServeError
from detector.serve.service import Service


class Asked(BaseModel):
    """Fields of the multipart request beside its files."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    category: Annotated[str, Field(max_length=160)]
    """`capsule`, `capsule@2` or `capsule@reviewed`."""
    version: Annotated[str, Field(max_length=64)] | None = None
    """Number or label, where the category names none."""
    references: Annotated[str, Field(max_length=256)] | None = None
    """Name of references that the server keeps; or send good photos as files in a field of this name."""
    together: bool = False
    """Whether the pictures are scored among each other."""
    false_alarms: Annotated[str, Field(max_length=16)] | None = None
    """Share of good photos that may be called anomalous, such as `5%`; with references."""
    threshold: Annotated[str, Field(max_length=32)] | None = None
    """Score from which a picture is anomalous."""
    format: Literal["json", "png", "npy"] = "json"
    """JSON, the picture that `detect --out` draws, or the raw map; several pictures or maps come as a ZIP."""

    @property
    def ref(self) -> str:
        """The version as the command line names it."""
        if self.version is not None and "@" in self.category:
            raise ServeError(f"version {self.version!r} with category {self.category!r}", expected="one version")
        return f"{self.category}@{self.version}" if self.version is not None else self.category


FIELDS = tuple(Asked.model_fields)


def read(fields: dict[str, str]) -> Asked:
    """The fields of a request.

    Raises:
        ServeError: one that is missing or means nothing.
    """
    try:
        return Asked.model_validate(
            {name: value for name, value in fields.items() if value != "" or name == "category"}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise ServeError(f"no {name}", expected="a product, such as category=capsule") from error
        raise ServeError(f"{name} {str(first['input'])[:80]!r}", expected=wanted(first["msg"])) from error


def require_sense(asked: Asked, form: Form, *, batch: bool = False) -> None:
    """Refuse fields that would do nothing, as the command line does.

    Args:
        asked: fields.
        form: the files that came with them.
        batch: whether a job is asked for.

    Raises:
        ForgeError: one of them.
    """
    if batch and (asked.format != "json" or asked.together):
        raise ServeError("format or together in a batch", expected="json, and pictures one by one")
    if asked.false_alarms is not None:
        parse_rate(asked.false_alarms)
        if asked.threshold is not None:
            raise ServeError("both false_alarms and threshold", expected="one of them")
        if not asked.references and not form.references:
            raise ServeError("false_alarms without references", expected="good photos to find the threshold from")


def threshold_of(
    service: Service, asked: Asked, description: DescriptionFile, scorer: "ReferenceScorer | TogetherScorer | None"
) -> Threshold | None:
    """The threshold that a request names; that of the server holds for words alone."""
    if asked.false_alarms is not None and scorer is not None:
        return scorer.threshold(parse_rate(asked.false_alarms))
    if scorer is not None and asked.threshold is None:
        return None
    return service.threshold(description.category, asked.threshold)


def schema() -> dict[str, Any]:
    """The multipart body, for OpenAPI."""
    fields = Asked.model_json_schema()
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    properties = {"images": {**files, "minItems": 1, "description": "Pictures, one or many."}, **fields["properties"]}
    return {"type": "object", "properties": properties, "required": ["images", "category"]}
