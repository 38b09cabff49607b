"""Any OpenAI-compatible server, through the openai package; retries and structured output are our own.

The rules come from measuring real servers: always send `max_tokens`; an answer that did not end with `stop` is
incomplete; a 500 that `response_format` provoked is not retried but asked for less strictly.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from openai import APIStatusError, DefaultHttpxClient, OpenAI, OpenAIError
from pydantic import SecretStr

from prompt_forge.errors import AuthenticationError, EndpointError, IncompleteError, ModelError
from prompt_forge.llm.address import LOOPBACK, address, check_key, with_version
from prompt_forge.llm.bodies import ADDRESS_HINT, body_of
from prompt_forge.llm.failures import explain, too_long, unknown_model
from prompt_forge.llm.ladder import REFUSALS, Ladder
from prompt_forge.llm.loose_json import holds_json
from prompt_forge.llm.parameters import FORMAT, Refused, culprit, parameters, shown_names
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.reply import Reply, read
from prompt_forge.llm.retry import RetryPolicy, passing
from prompt_forge.llm.thinking import without_thinking
from prompt_forge.llm.types import Completion, Mode, Request
from prompt_forge.usage import Usage

__all__ = ["OpenAIChat", "address"]

_KEYED_HOSTS = frozenset({"api.openai.com"})
"""Hosts that answer nobody without a key: asking them would only cost the wait."""


class OpenAIChat:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        base_url: up to and including `/v1`.
        model: name the server knows the model by.
        api_key: None for servers that want none.
        timeout: seconds for one try.
        retry: when to try again.
        ladder: what is known about structured output.
        refused: what is known about parameters that servers refuse.
        pause: called before every try; a rate limiter waits here.
        endpoint: name for cache and provenance; the address by default.

    Raises:
        SettingsError: `base_url` is no http(s) address, or carries a password; or no header can carry the key.
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
        refused: Refused | None = None,
        pause: Callable[[], None] = lambda: None,
        endpoint: str | None = None,
    ) -> None:
        base_url = address(base_url)
        check_key(api_key)
        self._endpoint = endpoint or base_url
        self._with_version = "" if endpoint else with_version(base_url)
        self._model = model
        self._redact = Redactor([api_key])
        self._timeout = timeout
        self._retry = retry or RetryPolicy()
        self._ladder = ladder or Ladder()
        self._refused = refused or Refused()
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
            failure = self._told(error)
        except (AttributeError, TypeError, ValueError):  # what the client makes of HTML, or of half a JSON
            failure = EndpointError(f"{self._endpoint} lists no models", hint=ADDRESS_HINT, status=404)
        raise failure

    def complete(self, request: Request) -> Completion:
        """Answer `request`.

        Raises:
            AuthenticationError: the key is missing or wrong.
            EndpointError: the server refused, failed or was not there, after all retries.
            IncompleteError: the answer was cut short, refused, filtered or empty.
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
                error.usage = spent + error.usage  # an ignored schema was paid for, whatever the next rung answers
                raise
            if reply is None:
                continue
            spent += reply.usage
            if mode == "json_schema" and not holds_json(without_thinking(reply.text)):
                continue  # accepted and ignored: ask again with the schema in words
            if request.json_schema is not None:
                self._ladder.remember(self._endpoint, request.model, mode)
            return self._completion(request, reply, mode, spent, time.monotonic() - started)
        raise EndpointError(f"{self._endpoint} took none of {', '.join(rungs)}")

    def _completion(self, request: Request, reply: Reply, mode: Mode, spent: Usage, seconds: float) -> Completion:
        thought = without_thinking(reply.text) != reply.text
        return Completion(
            text=reply.text,
            model=reply.model or request.model,
            mode=mode,
            usage=spent,
            mean_logprob=None if thought else reply.mean_logprob,  # it would be the mean over the thoughts
            seconds=seconds,
            request_digest=request.digest,
            left_out=shown_names(self._refused.of(self._endpoint, request.model)),
        )

    def _try(self, request: Request, mode: Mode) -> Reply | None:
        """One rung: the reply, or None when the server refuses this much structure."""
        try:
            return self._retry.run(
                lambda: self._send(request, mode), lambda error: passing(error) and not _refuses(error, mode)
            )
        except OpenAIError as error:
            if _refuses(error, mode):
                return None
            failure = self._explain(error)
        except EndpointError as error:  # a body that is no chat completion
            failure = self._misdirected(error)
        raise failure

    def _send(self, request: Request, mode: Mode) -> Reply:
        """Send, and send again without each parameter that the server refuses; what helped is remembered."""
        without, spent = self._refused.of(self._endpoint, request.model), Usage()
        while True:
            body = parameters(request, mode, without)
            self._pause()
            try:
                sent = self._client.chat.completions.with_raw_response.create(**body)
                reply = read(body_of(sent.http_response, self._endpoint), self._endpoint, request)
            except APIStatusError as error:
                name = culprit(error, without)
                if name is None or name == FORMAT or name in without or too_long(error):
                    raise
                without = (*without, name)
                continue
            except IncompleteError as error:
                spent += error.usage
                if "stop" not in body or not error.in_thoughts:
                    error.usage = spent
                    raise
                without = (*without, "stop")  # it ended the thoughts, which began with a line break, say
                continue
            self._refused.remember(self._endpoint, request.model, without)
            return replace(reply, usage=spent + reply.usage)

    def _explain(self, error: OpenAIError) -> EndpointError:
        if isinstance(error, APIStatusError) and error.status_code in (404, 405):
            served = self._listed()
            if self._with_version and not served:
                return self._misdirected(EndpointError(f"{self._endpoint} answered HTTP {error.status_code}"))
            if error.status_code == 404:
                return unknown_model(self._endpoint, self._model, served)
        return self._told(error)

    def _told(self, error: OpenAIError) -> EndpointError:
        return explain(error, endpoint=self._endpoint, model=self._model, timeout=self._timeout, redact=self._redact)

    def _misdirected(self, error: EndpointError) -> EndpointError:
        """The same where the address has its `/v1`; otherwise the missing ending is the likely cause."""
        if not self._with_version or error.hint not in ("", ADDRESS_HINT):
            return error
        return EndpointError(
            error.problem, hint=f"--base-url has no /v1; try --base-url {self._with_version}", status=error.status
        )

    def _listed(self) -> list[str]:
        try:
            return self.served_models()
        except EndpointError:
            return []


def _refuses(error: OpenAIError, mode: Mode) -> bool:
    """Whether the failure is probably about `response_format`, which the next rung asks less of."""
    if mode == "text" or not isinstance(error, APIStatusError):
        return False
    return error.status_code in REFUSALS and not too_long(error) and culprit(error) in (None, FORMAT)
