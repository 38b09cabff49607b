"""What a description file holds: one schema for the file, the JSON schema a language model is given, and the docs."""

import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from descriptions.common.refs import NAME

MAX_TEXT = 200
"""Longest text in characters; CLIP reads 77 tokens in all, so anything longer is a mistake."""
MAX_ENTRIES = 500

NORMAL_STATES = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
)
"""Generic normal states; `{}` is the object name (the WinCLIP-style ensemble that FiLo uses)."""

ABNORMAL_STATES = ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage")
"""Generic abnormal states, used beside the descriptions (FiLo) and alone as a control."""

Source = Literal["llm", "human", "import"]
Status = Literal["draft", "reviewed"]


def _one_line(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty")
    if bad := re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text):
        raise ValueError(f"the text holds the control character {bad[0]!r}; write it on one line")
    return text


def _with_slot(state: str) -> str:
    if state.count("{}") != 1 or "{" in state.replace("{}", "") or "}" in state.replace("{}", ""):
        raise ValueError(f"the state {state!r} needs exactly one {{}} where the object name goes")
    return state


def _utc(moment: Any) -> Any:
    """YAML libraries hand over naive times that mean UTC."""
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) and moment.tzinfo is None else moment


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_one_line)]
State = Annotated[Text, AfterValidator(_with_slot)]
Slug = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Moment = Annotated[datetime, BeforeValidator(_utc)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Anomaly(_Record):
    """One way the product can be wrong, as it looks in a picture."""

    id: Slug
    """Stable name within the file; survives edits of the text."""
    text: Text
    """What CLIP reads after "abnormal <object> with": a visible, specific phrase such as `deep crack in the cap`."""
    family: Text | None = None
    """Kind of defect the phrase belongs to, such as `crack` or `stain`."""
    part: Text | None = None
    """Part of the product it names, if any."""
    source: Source = "human"
    """Who wrote it: a language model, a person, or another release."""
    enabled: bool = True
    """Whether the detector reads it; a rejected entry stays in the file, disabled, so that it is not proposed again."""
    note: Annotated[str, Field(max_length=2000)] = ""
    """For people; nothing reads it."""
    locked: bool = False
    """Survives regeneration unchanged."""
    support: Annotated[int, Field(ge=1)] | None = None
    """How many models of an ensemble proposed it."""
    decided: bool = False
    """Whether a person accepted, rejected or rewrote it in a review, which goes on with the others."""


class Parameters(_Record):
    """Sampling parameters of a generation."""

    temperature: float | None = None
    """0 is greedy."""
    max_tokens: int | None = None
    """Longest answer in tokens."""
    seed: int | None = None
    """Seed sent to the server."""
    count: int | None = None
    """How many entries were asked for."""


class Usage(_Record):
    """Tokens a generation took, cached answers included."""

    prompt_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens read."""
    completion_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens written."""


class Dropped(_Record):
    """An entry of an answer that was left out."""

    text: str
    """What it said, cut short, or `entry 3` where it said nothing readable."""
    reason: str
    """Why it is not in the file."""


class Provenance(_Record):
    """Where a generated version came from. Never holds a key."""

    generator: str
    """Program and version, such as `prompt-forge 0.1.0`."""
    endpoint: str
    """Host of the server, or `embedded` for the bundled model."""
    model: str
    """Model name; several are joined by ` + `."""
    template: str
    """Template id."""
    template_sha256: str
    """Hash of the template as it was rendered."""
    parameters: Parameters = Parameters()
    """What was sampled how."""
    mode: str = "text"
    """Structured-output mode: json_schema, json_object or text."""
    requests: tuple[str, ...] = ()
    """Digests of the requests, as the log and the cache know them."""
    usage: Usage = Usage()
    """Token usage."""
    seconds: float = 0.0
    """Wall time in seconds."""
    left_out: tuple[str, ...] = ()
    """Parameters that the server refuses, such as `temperature`; it was asked without them."""
    dropped: Annotated[tuple[Dropped, ...], Field(max_length=MAX_ENTRIES)] = ()
    """Entries of the answers that are not in the file, with the reasons."""


class Changed(_Record):
    """A change that `prompt-forge improve` kept."""

    action: Literal["replace", "add", "drop"]
    """What was done."""
    target: str | None = None
    """Id of the entry that went."""
    text: str | None = None
    """Text of the entry that came."""
    reason: str
    """Why it was proposed."""
    source: str
    """`measured`, or the name of the language model."""
    round: int
    """In which round it was kept."""


class Improvement(_Record):
    """How a version compares with its parent on photos that it was not chosen on."""

    model: str
    """Vision model that measured."""
    data: str
    """SHA-256 over the photos and what they show."""
    seed: int
    """Of the split into steer and confirm."""
    steer: int
    """Photos that changes were chosen on."""
    confirm: int
    """Photos of the comparison."""
    image_auroc: float
    """Of this version on confirm."""
    parent_image_auroc: float
    """Of its parent on confirm."""
    interval: tuple[float, float]
    """Paired bootstrap interval of the difference."""
    level: float
    """1 minus the coverage of the interval."""
    look: int
    """How often these photos had been compared on by then, this time included."""
    changes: tuple[Changed, ...] = ()
    """What was changed."""


class DescriptionFile(_Record):
    """One version of what can be wrong with one product; the file `<category>/v<version>.yaml`."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    category: Slug
    """Folder name of the product."""
    object_name: Text
    """The words CLIP reads for it, such as `metal nut`."""
    version: Annotated[int, Field(ge=1)] = 1
    """Number in the file name; assigned when the version is saved."""
    parent: Annotated[int, Field(ge=1)] | None = None
    """Version this one was made from."""
    reviewer: Text | None = None
    """Who made it from its parent, where a person signed it."""
    change: Annotated[str, Field(max_length=2000)] = ""
    """What it changes in its parent, for people."""
    created: Moment = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    """When, in UTC."""
    status: Status = "draft"
    """`reviewed` once a person has looked at every entry."""
    parts: tuple[Text, ...] = ()
    """Parts of the product, hints for generation."""
    normal: Annotated[tuple[State, ...], Field(min_length=1, max_length=100)] = NORMAL_STATES
    """Normal states; `{}` stands for the object name."""
    abnormal: Annotated[tuple[State, ...], Field(max_length=100)] = ABNORMAL_STATES
    """Generic abnormal states used beside the anomalies."""
    anomalies: Annotated[tuple[Anomaly, ...], Field(max_length=MAX_ENTRIES)] = ()
    """The descriptions."""
    provenance: Provenance | None = None
    """Where a generated version came from; absent when a person wrote it."""
    improvement: Improvement | None = None
    """What `prompt-forge improve` measured, where it made the version."""

    _document: Any = PrivateAttr(default=None)
    """The YAML this was read from, comments and all; see `descriptions.format.yaml_io`."""

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        twice = [name for name, times in Counter(entry.id for entry in self.anomalies).items() if times > 1]
        if twice:
            raise PydanticCustomError(
                "duplicate_id", "the id {id} stands on more than one anomaly; give each its own", {"id": repr(twice[0])}
            )
        return self

    def __eq__(self, other: object) -> bool:
        """Equal content; the comments of the files they were read from do not count."""
        return isinstance(other, DescriptionFile) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # compare by `content_hash` where a key is needed

    @property
    def enabled_texts(self) -> tuple[str, ...]:
        """Texts the detector reads, in file order."""
        return tuple(entry.text for entry in self.anomalies if entry.enabled)

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) over what the detector reads: object name, states, enabled texts.

        Notes, ids, order of keys and provenance do not change it, so equal hashes mean equal detector results.
        """
        read = [self.object_name, list(self.normal), list(self.abnormal), list(self.enabled_texts)]
        return hashlib.sha256(json.dumps(read, ensure_ascii=False).encode()).hexdigest()

    @property
    def ref(self) -> str:
        """`category@version`, as commands take it."""
        return f"{self.category}@{self.version}"

    def revised(self, **changes: Any) -> Self:
        """A validated copy with some fields replaced; comments of the file it was read from stay with it.

        Raises:
            pydantic.ValidationError: a change breaks the schema.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        copy = type(self).model_validate(fields | changes)
        copy._document = self._document
        return copy
