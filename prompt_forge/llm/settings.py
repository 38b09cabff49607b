"""Which model is asked, and what a run may spend."""

from pathlib import Path
from typing import Any

from platformdirs import user_cache_path, user_log_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from prompt_forge import defaults
from prompt_forge.llm.address import trimmed

EMBEDDED = "local"
"""`--model local` names the embedded model outright."""

REPLAY = "replay:"
"""`--model replay:FILE` answers from a recorded log."""


class ModelSettings(BaseModel):
    """Table `[model]` of `filo-forge.toml`; every field is also a variable `FILO_FORGE_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    """Name the endpoint knows the model by; `local` is the embedded one, `replay:FILE` a recording."""
    base_url: str | None = None
    """OpenAI-compatible endpoint, up to and including `/v1`; also OPENAI_BASE_URL."""
    api_key: SecretStr | None = Field(default=None, repr=False)
    """Also OPENAI_API_KEY, which is the better place."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest answer in tokens, thoughts included; None: 200 and 60 more for each entry, or 32 for a phrase. A model
    that uses it up on thoughts is asked once more with a larger one."""
    timeout: float = Field(default=defaults.TIMEOUT, gt=0)
    """Seconds for one try."""
    retries: int = Field(default=3, ge=0)
    """Tries after the first, for failures that may pass."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Calls are spaced to stay below it."""
    max_tokens_total: int | None = Field(default=None, gt=0)
    """Tokens a run may spend."""
    max_cost: float | None = Field(default=None, gt=0)
    """Money a run may spend; needs the two prices."""
    price_prompt: float = Field(default=0.0, ge=0)
    """Money for a million tokens read."""
    price_completion: float = Field(default=0.0, ge=0)
    """Money for a million tokens written."""
    cache: bool = True
    """Whether answers are kept and reused."""
    refresh: bool = False
    """Ask again even where an answer is kept."""
    offline: bool = False
    """Answer from the cache only."""
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("filo-forge"))
    """Where answers, and what is known about endpoints, are kept."""
    log_file: Path = Field(default_factory=lambda: user_log_path("filo-forge") / "exchanges.jsonl")
    """Where every exchange is written."""
    threads: int = Field(default=1, ge=1)
    """Threads of the embedded model; more than one collapses when anything else uses the same cores."""
    context: int = Field(default=2048, ge=256)
    """Context of the embedded model, in tokens."""

    @field_validator("model", "base_url", "api_key", mode="before")
    @classmethod
    def _as_meant(cls, value: Any) -> Any:
        """Without the line breaks, blanks and quotes that shells and `.env` files leave around a value."""
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        return (trimmed(value) or None) if isinstance(value, str) else value

    @property
    def embedded(self) -> bool:
        """Whether the embedded model is meant: named, or nothing else configured."""
        return self.model == EMBEDDED or not (self.model or self.base_url or self.api_key)
