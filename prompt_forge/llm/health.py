"""What a model needs, looked at piece by piece."""

from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

from descriptions.common.errors import ForgeError, SettingsError
from prompt_forge.errors import EndpointError
from prompt_forge.llm.address import address, remark, with_version
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.local import MODEL_NAME, check_file, check_runtime, model_file
from prompt_forge.llm.open import OPENAI_URL, ladder_file, stamp_file
from prompt_forge.llm.replay import Replay
from prompt_forge.llm.settings import REPLAY, ModelSettings

RUNTIME, FILE, RECORDING = "runtime", "model file", "recording"
ENDPOINT, STRUCTURE = "endpoint", "structured output"
"""What is looked at."""

_REACH = "is the server running? check --base-url"
_PATIENCE = 10.0
"""Seconds; a server that takes longer to list its models is not there."""

State = Literal["ok", "unclear", "missing"]
"""`unclear`: it may well work, and only a real request would tell."""


class Finding(NamedTuple):
    """One piece."""

    what: str
    """What was looked at."""
    state: State
    """Whether it can be used."""
    detail: str
    """What was found, or what to type."""


def examine(settings: ModelSettings) -> list[Finding]:
    """Look at the pieces that `settings` need; nothing is generated."""
    if settings.embedded:
        return [_look(RUNTIME, _runtime), _look(FILE, lambda: _file(settings))]
    if (settings.model or "").startswith(REPLAY):
        return [_look(RECORDING, lambda: _recording(settings))]
    return [_look(ENDPOINT, lambda: _endpoint(settings)), _structure(settings)]


def _look(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ForgeError as error:
        return Finding(what, "missing", str(error))


def _runtime() -> Finding:
    check_runtime()
    return Finding(RUNTIME, "ok", f"xllamacpp {version('xllamacpp')}")


def _file(settings: ModelSettings) -> Finding:
    check_file(model_file(), stamp_file(settings))
    return Finding(FILE, "ok", f"{MODEL_NAME}, whole")


def _recording(settings: ModelSettings) -> Finding:
    path = Path((settings.model or "").removeprefix(REPLAY))
    Replay(path)
    return Finding(RECORDING, "ok", f"{path} holds answers")


def _endpoint(settings: ModelSettings) -> Finding:
    url = settings.base_url or OPENAI_URL
    endpoint, doubt = address(url), remark(url)
    try:
        served = _served(settings, url)
    except EndpointError as error:
        if error.status is None:
            raise EndpointError(error.problem, hint=_REACH) from None
        if error.status != 404:
            raise
        return _unclear(f"{endpoint} lists no models; {_versioned(settings, url)}")
    if settings.model is None:
        problem = f"{endpoint} is there and no model is configured"
        raise SettingsError(problem, hint=f"type --model NAME; it lists {_listed(served)}")
    if settings.model not in served:
        return _unclear(f"{endpoint} is there and lists {_not_listed(settings.model, served)}")
    if with_version(url) and _lists(settings, with_version(url)):
        return _unclear(f"{endpoint} has no /v1 at its end; type --base-url {with_version(url)}")
    return Finding(ENDPOINT, "ok", f"{endpoint} serves {settings.model}" + (f" ({doubt})" if doubt else ""))


def _unclear(detail: str) -> Finding:
    return Finding(ENDPOINT, "unclear", detail)


def _versioned(settings: ModelSettings, url: str) -> str:
    """What to try where an address lists nothing."""
    other = with_version(url)
    if other and _lists(settings, other):
        return f"{other} does: type --base-url {other}"
    return "if requests fail, check that --base-url ends in /v1"


def _lists(settings: ModelSettings, url: str) -> bool:
    """Whether models are listed at `url`."""
    try:
        return bool(_served(settings, url))
    except EndpointError:
        return False


def _not_listed(model: str, served: list[str]) -> str:
    close = get_close_matches(model, served, n=1, cutoff=0.4)
    offer = f" (did you mean {close[0]}?)" if close else ""
    ignored = "some servers, llama.cpp among them, ignore the name and answer with the model they have loaded"
    return f"{_listed(served)}, not {model}{offer}; {ignored}"


def _listed(served: list[str]) -> str:
    return ", ".join(served[:8]) or "no model"


def _served(settings: ModelSettings, url: str) -> list[str]:
    from prompt_forge.llm.openai_chat import OpenAIChat

    chat = OpenAIChat(
        url,
        settings.model or "",
        api_key=settings.api_key,
        timeout=min(settings.timeout, _PATIENCE),
    )
    try:
        return chat.served_models()
    finally:
        chat.close()


def _structure(settings: ModelSettings) -> Finding:
    mode = None
    if settings.model:
        with suppress(SettingsError):  # of the address: said of the endpoint already
            mode = Ladder(ladder_file(settings)).remembered(address(settings.base_url or OPENAI_URL), settings.model)
    return Finding(STRUCTURE, "ok", mode or "not tried yet")
