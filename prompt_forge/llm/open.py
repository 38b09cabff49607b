"""From settings to a model: which one, and which wrapper sits around which.

    cached( growing( budgeted( logged( OpenAIChat | EmbeddedModel | Replay ) ) ) )

An answer from the cache costs nothing and is no exchange, so the cache is outermost.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from descriptions.common.errors import SettingsError
from prompt_forge.llm.address import check_key, remark
from prompt_forge.llm.budget import Budget, Budgeted, Price
from prompt_forge.llm.cache import AnswerCache, Cached
from prompt_forge.llm.growing import Growing
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.local import EmbeddedModel
from prompt_forge.llm.log import ExchangeLog, Logged
from prompt_forge.llm.rate import RateLimit
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.replay import Replay
from prompt_forge.llm.settings import REPLAY, ModelSettings
from prompt_forge.llm.types import LanguageModel

OPENAI_URL = "https://api.openai.com/v1"
"""Where a key without an address belongs."""


@dataclass(frozen=True)
class Resources:
    """What all models of one run share."""

    log: ExchangeLog
    budget: Budget
    rate: RateLimit
    ladder: Ladder
    refused: Path
    """Where it is remembered what servers refuse of a request."""
    cache: AnswerCache | None
    closing: ExitStack
    """Closes connections and servers when the run ends."""


@contextmanager
def resources(settings: ModelSettings) -> Iterator[Resources]:
    """Open what the models of a run share, and close it again.

    Raises:
        SettingsError: the settings contradict each other.
        CacheError: the cache cannot be used.
    """
    _check(settings)
    price = Price(settings.price_prompt, settings.price_completion)
    with ExitStack() as closing:
        cache = AnswerCache(settings.cache_dir / "answers") if settings.cache else None
        if cache is not None:
            closing.callback(cache.close)
        yield Resources(
            log=ExchangeLog(settings.log_file, Redactor([settings.api_key])),
            budget=Budget(max_tokens=settings.max_tokens_total, max_cost=settings.max_cost, price=price),
            rate=RateLimit(settings.requests_per_minute),
            ladder=Ladder(ladder_file(settings)),
            refused=settings.cache_dir / "refused-parameters.json",
            cache=cache,
            closing=closing,
        )


def create_model(
    settings: ModelSettings, shared: Resources, *, notify: Callable[[str], None] = lambda _: None
) -> LanguageModel:
    """The model that `settings` name, wrapped; for an ensemble, call it once per model with the same `shared`.

    Args:
        settings: which model.
        shared: from `resources`.
        notify: shows one line to the user.

    Raises:
        SettingsError: an endpoint without a model, or an unreadable address.
        RecordingError: the recording holds no answer.
    """
    model: LanguageModel = Logged(_source(settings, shared, notify), shared.log)
    model = Growing(Budgeted(model, shared.budget), notify=notify)
    if shared.cache is None:
        return model
    return Cached(model, shared.cache, refresh=settings.refresh, offline=settings.offline, notify=notify)


def ladder_file(settings: ModelSettings) -> Path:
    """Where it is remembered how each endpoint takes structured requests."""
    return settings.cache_dir / "structured-output.json"


def stamp_file(settings: ModelSettings) -> Path:
    """Where it is remembered that the embedded model's file is whole."""
    return settings.cache_dir / "model-checked"


def _source(settings: ModelSettings, shared: Resources, notify: Callable[[str], None]) -> LanguageModel:
    if settings.embedded:
        if settings.model is None:
            notify("no model configured: using the small embedded one, on this machine (another: --base-url, --model)")
        embedded = EmbeddedModel(
            threads=settings.threads,
            context=settings.context,
            timeout=settings.timeout,
            ladder=shared.ladder,
            stamp=stamp_file(settings),
        )
        shared.closing.callback(embedded.close)
        return embedded
    if settings.model is None:
        raise SettingsError("an endpoint or key without a model", hint="type --model NAME, or --model local")
    if settings.model.startswith(REPLAY):
        return Replay(Path(settings.model.removeprefix(REPLAY)))
    return _remote(settings, settings.model, shared, notify)


def _remote(settings: ModelSettings, name: str, shared: Resources, notify: Callable[[str], None]) -> LanguageModel:
    from prompt_forge.llm.openai_chat import OpenAIChat  # a second of imports that cached runs do without
    from prompt_forge.llm.parameters import Refused
    from prompt_forge.llm.retry import RetryPolicy

    if doubt := remark(settings.base_url or OPENAI_URL):
        notify(doubt)
    refused = Refused(shared.refused)
    chat = OpenAIChat(
        settings.base_url or OPENAI_URL,
        name,
        api_key=settings.api_key,
        timeout=settings.timeout,
        retry=RetryPolicy(settings.retries),
        ladder=shared.ladder,
        refused=refused,
        pause=shared.rate,
    )
    shared.closing.callback(chat.close)
    if settings.refresh:
        shared.ladder.forget(chat.endpoint, name)
        refused.forget(chat.endpoint, name)
    return chat


def _check(settings: ModelSettings) -> None:
    check_key(settings.api_key)
    if settings.offline and (settings.refresh or not settings.cache):
        raise SettingsError(
            "--offline together with --refresh or --no-cache", hint="offline answers come from the cache"
        )
    if settings.max_cost is not None and not (settings.price_prompt or settings.price_completion):
        problem = "--max-cost without prices"
        raise SettingsError(
            problem, hint="set price_prompt and price_completion (per million tokens) in filo-forge.toml"
        )
