"""What goes to a language model, what comes back, and the one method everything else wraps."""

import hashlib
import json
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from prompt_forge.usage import Usage

Mode = Literal["json_schema", "json_object", "text"]
"""How strictly the server was asked for structure; the rungs of `prompt_forge.llm.ladder`, strictest first."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(_Frozen):
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant"]
    """`developer` is not offered: several servers answer it with an error."""
    content: str
    """Plain text, already rendered."""


class Sampling(_Frozen):
    """How tokens are drawn."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 takes the most likely token."""
    max_tokens: int = Field(default=1024, ge=1)
    """Always sent: without it some servers run to the end of their context."""
    seed: int | None = 0
    """Same seed, same server, same answer; None lets the server choose."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; not sent with a JSON schema, whose grammar may start with one of them."""
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    """Nucleus sampling; None leaves the server's default."""


class Request(_Frozen):
    """Everything that decides an answer. Equal requests to one endpoint may share one answer."""

    model: str
    """Name the server knows the model by."""
    messages: tuple[Message, ...] = Field(min_length=1)
    """The conversation so far, oldest first."""
    sampling: Sampling = Sampling()
    """How tokens are drawn."""
    json_schema: dict[str, Any] | None = None
    """JSON schema the answer shall fit, or None for plain text."""
    schema_name: str = "answer"
    """Name the schema travels under."""
    logprobs: bool = False
    """Ask for the log-probability of the answer's tokens."""
    template_sha256: str = ""
    """Hash of the template the messages were rendered from."""
    sample: int = 0
    """Number of the draw, so that several draws of one prompt are several answers."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over every field. Not kept: a copy with other fields would inherit it."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


class Completion(_Frozen):
    """A whole answer. Answers that were cut short are an `IncompleteError` and never get here."""

    text: str
    """The answer: data, never a template, a path or something for the terminal to obey."""
    finish_reason: str = "stop"
    """Why the model stopped."""
    model: str
    """Name of the model as the server reports it."""
    mode: Mode = "text"
    """How the structure was asked for."""
    usage: Usage = Usage()
    """Tokens of the answer, and of earlier tries of the same request."""
    mean_logprob: float | None = None
    """Mean natural log-probability of the answer's tokens; None when not asked for or not given."""
    seconds: float = 0.0
    """Wall time of the call."""
    cached: bool = False
    """Whether no model was called for it."""
    request_digest: str = ""
    """`Request.digest` of what was asked."""
    left_out: tuple[str, ...] = ()
    """What the server refuses of a request, such as `temperature`; asked without it."""


class LanguageModel(Protocol):
    """Anything that answers requests: a server, a recording, a list, or a wrapper around one of them."""

    @property
    def endpoint(self) -> str:
        """Where answers come from, without any secret; part of the cache key and of the provenance."""
        ...

    @property
    def model(self) -> str:
        """Name for `Request.model`."""
        ...

    def complete(self, request: Request) -> Completion:
        """Answer `request`; safe to call from several threads.

        Raises:
            prompt_forge.errors.ModelError: no whole answer came.
        """
        ...
