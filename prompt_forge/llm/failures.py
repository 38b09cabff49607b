"""What the openai client raises, as one clear line of ours; free of keys, control characters and long bodies."""

import re
from difflib import get_close_matches

from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

from descriptions.common.terminal import printable
from prompt_forge.errors import AuthenticationError, ContextTooLongError, EndpointError
from prompt_forge.llm.bodies import server_words, writable
from prompt_forge.llm.parameters import NEW_LIMIT, OLD_LIMIT, culprit
from prompt_forge.llm.redact import Redactor

_LONGEST = 300
"""Characters kept of what a server says; some answer with a page of HTML."""

_TOO_LONG_WORDS = re.compile(
    r"maximum context length|context (?:window|size|length)[^.]*exceed|exceed[^.]*context", re.I
)
_TOO_LONG = ("exceed_context_size_error", "context_length_exceeded")


def too_long(error: APIStatusError) -> bool:
    """Whether prompt and answer did not fit; llama.cpp says so in `type`, others in `code`, vLLM in a sentence."""
    named = {str(error.code), str(error.type)} & set(_TOO_LONG)
    return bool(named) or bool(error.status_code == 400 and _TOO_LONG_WORDS.search(_message(error)))


def explain(error: OpenAIError, *, endpoint: str, model: str, timeout: float, redact: Redactor) -> EndpointError:
    """`error` as an error of ours."""
    if isinstance(error, APITimeoutError):
        hint = "is the server busy? raise --timeout, or lower --concurrency"
        return EndpointError(f"no answer from {endpoint} within {timeout:g} s", hint=hint)
    if isinstance(error, APIConnectionError):
        reason = _said(str(error.__cause__ or error), redact)
        return EndpointError(f"no connection to {endpoint} ({reason})", hint="is the server running? check --base-url")
    if isinstance(error, APIStatusError):
        return _explain_status(error, endpoint, model, redact)
    return EndpointError(f"{endpoint} sent something that is no answer ({_said(str(error), redact)})")


def unknown_model(endpoint: str, model: str, served: list[str]) -> EndpointError:
    """The endpoint has no such model; `served` are those it has, as far as known."""
    close = get_close_matches(model, served, n=1, cutoff=0.4)
    hint = f"did you mean --model {close[0]}?" if close else f"it serves {', '.join(served[:8])}" if served else ""
    return EndpointError(f"{endpoint} has no model {model}", hint=hint or "check --model and --base-url", status=404)


def _explain_status(error: APIStatusError, endpoint: str, model: str, redact: Redactor) -> EndpointError:
    status, reason = error.status_code, _said(_message(error), redact)
    if status in (401, 403):
        hint = "set OPENAI_API_KEY to a valid key for this endpoint"
        return AuthenticationError(f"{endpoint} refused the key (HTTP {status}: {reason})", hint=hint, status=status)
    if too_long(error):
        hint = "lower --max-tokens, use a shorter --template, or a model with a longer context"
        problem = f"the prompt does not fit the context of {model} ({reason})"
        return ContextTooLongError(problem, hint=hint, status=status)
    inside = error.response.status_code
    where = f"HTTP {status}" if inside == status else f"HTTP {status} inside HTTP {inside}"
    problem = f"{endpoint} answered {where if status >= 400 else 'an error inside HTTP 200'}: {reason}"
    return EndpointError(problem, hint=_hint(error), status=status)


def _hint(error: APIStatusError) -> str:
    if error.status_code == 429:
        return "wait and run again; what is done is kept"
    name = culprit(error)
    if name in (OLD_LIMIT, NEW_LIMIT) or (name is None and "max_tokens" in _message(error)):
        return "set --max-tokens to what the server allows"
    if name == "temperature":
        return "type --temperature 1, which such models take"
    return ""


def _message(error: APIStatusError) -> str:
    return server_words(error.body) or error.message


def _said(text: str, redact: Redactor) -> str:
    clean = printable(writable(" ".join(redact(text).split())))
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
