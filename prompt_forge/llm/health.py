"""What a model needs, looked at piece by piece."""

from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

from descriptions.errors import ForgeError
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.local import MODEL_NAME, check_file, check_runtime, model_file
from prompt_forge.llm.open import OPENAI_URL, ladder_file, stamp_file
from prompt_forge.llm.settings import REPLAY, ModelSettings


class Finding(NamedTuple):
    """One piece."""

    what: str
    """What was looked at."""
    ok: bool
    """Whether it can be used."""
    detail: str
    """What was found, or what to type."""


def examine(settings: ModelSettings) -> list[Finding]:
    """Look at the pieces that `settings` need; nothing is generated."""
    if settings.embedded:
        return [_look("runtime", _runtime), _look("model file", lambda: _file(settings))]
    if (settings.model or "").startswith(REPLAY):
        return []
    return [_look("endpoint", lambda: _endpoint(settings)), _structure(settings)]


def _look(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except ForgeError as error:
        return Finding(what, False, str(error))


def _runtime() -> str:
    check_runtime()
    return f"xllamacpp {version('xllamacpp')}"


def _file(settings: ModelSettings) -> str:
    path = model_file()
    check_file(path, stamp_file(settings))
    return f"{MODEL_NAME}, whole"


def _endpoint(settings: ModelSettings) -> str:
    from prompt_forge.llm.failures import unknown_model
    from prompt_forge.llm.openai_chat import OpenAIChat
    from prompt_forge.llm.retry import RetryPolicy

    chat = OpenAIChat(
        settings.base_url or OPENAI_URL,
        settings.model or "",
        api_key=settings.api_key,
        timeout=min(settings.timeout, 10.0),
        retry=RetryPolicy(0),
    )
    try:
        served = chat.served_models()
    finally:
        chat.close()
    if settings.model is None:
        raise unknown_model(chat.endpoint, "(none configured)", served)
    if settings.model not in served:
        raise unknown_model(chat.endpoint, settings.model, served)
    return f"{chat.endpoint} serves {settings.model}"


def _structure(settings: ModelSettings) -> Finding:
    from prompt_forge.llm.openai_chat import address

    mode = None
    if settings.model:
        mode = Ladder(ladder_file(settings)).remembered(address(settings.base_url or OPENAI_URL), settings.model)
    return Finding("structured output", True, mode or "not tried yet")
