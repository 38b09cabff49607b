"""Any OpenAI-compatible server, through the openai package; retries and structured output are our own.

The rules come from measuring real servers: always send `max_tokens`; an answer that did not end with `stop` is
incomplete; a 500 that `response_format` provoked is not retried but asked for less strictly.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from openai import APIStatusError, DefaultHttpxClient, OpenAI, OpenAIError
from openai.types.chat import ChatCompletion
from pydantic import SecretStr

from descriptions.errors import SettingsError
from prompt_forge.errors import AuthenticationError, EndpointError, IncompleteError, ModelError
from prompt_forge.llm.failures import explain, too_long, unknown_model
from prompt_forge.llm.ladder import REFUSALS, Ladder, messages_for, response_format
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.retry import RetryPolicy, passing
from prompt_forge.llm.types import Completion, Mode, Request, Usage

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that no proxy is asked for."""

_KEYED_HOSTS = frozenset({"api.openai.com"})
"""Hosts that answer nobody without a key: asking them would only cost the wait."""

_ADDRESS_HINT = "check --base-url; it ends in /v1"


@dataclass(frozen=True)
class _Reply:
    text: str
    model: str
    usage: Usage
    mean_logprob: float | None


class OpenAIChat:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        base_url: up to and including `/v1`.
        model: name the server knows the model by.
        api_key: None for servers that want none.
        timeout: seconds for one try.
        retry: when to try again.
        ladder: what is known about structured output.
        pause: called before every try; a rate limiter waits here.
        endpoint: name for cache and provenance; the address by default.

    Raises:
        SettingsError: `base_url` is no http(s) address, or carries a password.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: SecretStr | None = None,
        timeout: float = 120.0,
        retry: RetryPolicy | None = None,
        ladder: Ladder | None = None,
        pause: Callable[[], None] = lambda: None,
        endpoint: str | None = None,
    ) -> None:
        self._endpoint = endpoint or address(base_url)
        self._model = model
        self._redact = Redactor([api_key])
        self._timeout = timeout
        self._retry = retry or RetryPolicy()
        self._ladder = ladder or Ladder()
        self._pause = pause
        host = urlsplit(base_url).hostname
        self._keyless = host in _KEYED_HOSTS and not api_key
        local = host in LOOPBACK
        self._client = OpenAI(
            base_url=base_url,
            api_key=api_key.get_secret_value() if api_key else "none",
            max_retries=0,
            timeout=timeout,
            http_client=DefaultHttpxClient(trust_env=not local),
        )
        self._limit_name = "max_tokens"

    @property
    def endpoint(self) -> str:
        """Scheme, host, port and path; no key, no query."""
        return self._endpoint

    @property
    def model(self) -> str:
        """Name the server knows the model by."""
        return self._model

    def __repr__(self) -> str:
        return f"OpenAIChat({self._endpoint!r}, {self._model!r})"

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _want_key(self) -> None:
        if self._keyless:
            raise AuthenticationError(
                f"no key for {self._endpoint}",
                hint="set OPENAI_API_KEY, name your own server with --base-url, or type --model local",
            )

    def served_models(self) -> list[str]:
        """Names the server lists.

        Raises:
            EndpointError: the server is not there, refuses, or lists nothing readable.
        """
        self._want_key()
        try:
            return sorted(str(entry.id) for entry in self._client.models.list())
        except OpenAIError as error:
            failure = explain(
                error, endpoint=self._endpoint, model=self._model, timeout=self._timeout, redact=self._redact
            )
        except (AttributeError, TypeError, ValueError):  # what the client makes of HTML, or of half a JSON
            failure = EndpointError(f"{self._endpoint} lists no models", hint=_ADDRESS_HINT, status=404)
        raise failure

    def complete(self, request: Request) -> Completion:
        """Answer `request`.

        Raises:
            AuthenticationError: the key is missing or wrong.
            EndpointError: the server refused, failed or was not there, after all retries.
            IncompleteError: the answer was cut short or empty.
        """
        self._want_key()
        started = time.monotonic()
        rungs: tuple[Mode, ...] = ("text",)
        if request.json_schema is not None:
            rungs = self._ladder.rungs(self._endpoint, request.model)
        spent = Usage()
        for mode in rungs:
            try:
                reply = self._try(request, mode)
            except ModelError as error:
                error.usage = spent + error.usage  # an ignored schema was paid for, whatever the next rung brings
                raise
            if reply is None:
                continue
            spent += reply.usage
            if mode == "json_schema" and not _is_json(reply.text):
                continue  # accepted and ignored: ask again with the schema in words
            if request.json_schema is not None:
                self._ladder.remember(self._endpoint, request.model, mode)
            return self._completion(request, reply, mode, spent, time.monotonic() - started)
        raise EndpointError(f"{self._endpoint} took none of {', '.join(rungs)}")

    def _completion(self, request: Request, reply: _Reply, mode: Mode, spent: Usage, seconds: float) -> Completion:
        return Completion(
            text=reply.text,
            model=reply.model or request.model,
            mode=mode,
            usage=spent,
            mean_logprob=reply.mean_logprob,
            seconds=seconds,
            request_digest=request.digest,
        )

    def _try(self, request: Request, mode: Mode) -> _Reply | None:
        """One rung: the reply, or None when the server refuses this much structure."""
        try:
            answer = self._retry.run(
                lambda: self._send(request, mode), lambda error: passing(error) and not _refuses(error, mode)
            )
        except OpenAIError as error:
            if _refuses(error, mode):
                return None
            failure = self._explain(error)
        except ValueError as error:
            failure = EndpointError(f"{self._endpoint} sent something that is no JSON ({type(error).__name__})")
        else:
            return _read(answer, self._endpoint, request)
        raise failure

    def _send(self, request: Request, mode: Mode) -> object:
        limit_name = self._limit_name
        self._pause()
        try:
            return self._client.chat.completions.create(**self._parameters(request, mode, limit_name))
        except APIStatusError as error:
            if error.status_code != 400 or error.param != "max_tokens" or limit_name != "max_tokens":
                raise
        self._limit_name = "max_completion_tokens"  # newer OpenAI models know the limit by this name only
        return self._send(request, mode)

    def _parameters(self, request: Request, mode: Mode, limit_name: str) -> dict[str, Any]:
        sampling = request.sampling
        messages = [message.model_dump() for message in messages_for(request, mode)]
        optional = {
            "seed": sampling.seed,
            "top_p": sampling.top_p,
            "stop": list(sampling.stop) if sampling.stop and request.json_schema is None else None,
            "logprobs": request.logprobs or None,
            "response_format": response_format(request, mode),
        }
        return {
            "model": request.model,
            "messages": messages,
            "temperature": sampling.temperature,
            limit_name: sampling.max_tokens,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def _explain(self, error: OpenAIError) -> EndpointError:
        if isinstance(error, APIStatusError) and error.status_code == 404:
            return unknown_model(self._endpoint, self._model, self._listed())
        return explain(error, endpoint=self._endpoint, model=self._model, timeout=self._timeout, redact=self._redact)

    def _listed(self) -> list[str]:
        try:
            return self.served_models()
        except EndpointError:
            return []


def address(base_url: str) -> str:
    """`base_url` as it may be shown and stored: no password, no query.

    Raises:
        SettingsError: it is no http(s) address, or carries a password.
    """
    try:
        parts = urlsplit(base_url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise SettingsError("a base URL that cannot be read", expected="like http://127.0.0.1:8080/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"base URL {Redactor()(base_url)}", expected="an address like http://127.0.0.1:8080/v1")
    if parts.username or parts.password:
        raise SettingsError("a base URL that carries a password", hint="put the key into OPENAI_API_KEY")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _refuses(error: OpenAIError, mode: Mode) -> bool:
    """Whether the failure is probably about `response_format`, which the next rung asks less of."""
    if mode == "text" or not isinstance(error, APIStatusError):
        return False
    return error.status_code in REFUSALS and not too_long(error)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


def _read(answer: object, endpoint: str, request: Request) -> _Reply:
    """The one whole answer in what the server sent.

    Raises:
        EndpointError: it is no chat completion.
        IncompleteError: it was cut short or empty.
    """
    if not isinstance(answer, ChatCompletion) or not answer.choices:
        raise EndpointError(f"{endpoint} sent something that is no chat completion", hint=_ADDRESS_HINT)
    choice, usage = answer.choices[0], _usage(answer)
    text = (choice.message.content or "").strip() if choice.message else ""
    if choice.finish_reason == "length":
        hint = "raise --max-tokens, or ask for fewer entries"
        came = f"the answer of {request.model} was cut at {request.sampling.max_tokens} tokens"
        raise IncompleteError(came, hint=hint, usage=usage)
    if choice.finish_reason != "stop":
        came = f"the answer of {request.model} broke off (finish_reason {choice.finish_reason})"
        raise IncompleteError(came, expected="finish_reason stop", hint="run again", usage=usage)
    if not text:
        raise IncompleteError(f"the answer of {request.model} is empty", hint="try another --model", usage=usage)
    return _Reply(text, answer.model or "", usage, _mean_logprob(choice.logprobs))


def _usage(answer: ChatCompletion) -> Usage:
    counted = answer.usage
    if counted is None:
        return Usage()
    return Usage(prompt_tokens=counted.prompt_tokens or 0, completion_tokens=counted.completion_tokens or 0)


def _mean_logprob(logprobs: Any) -> float | None:
    tokens = getattr(logprobs, "content", None) or []
    return sum(token.logprob for token in tokens) / len(tokens) if tokens else None
