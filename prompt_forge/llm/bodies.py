"""The body of a response, read with suspicion: a JSON object, an error inside HTTP 200, or something else altogether.

The openai package hands on whatever JSON it gets, so bodies are read here.
"""

import json
import re
from typing import Any

from openai import APIStatusError

from descriptions.common.terminal import printable
from prompt_forge.errors import EndpointError

ADDRESS_HINT = "check --base-url; it ends in /v1"

_PASSING_WORDS = re.compile(r"rate.?limit|too.?many|resource.?exhausted|quota", re.IGNORECASE)
_BUSY_WORDS = re.compile(r"overload|unavailable|server.?error|internal|timeout|timed.?out|bad.?gateway", re.IGNORECASE)
_QUOTED = 160
"""Characters of a server's words that are repeated."""


def body_of(response: Any, endpoint: str) -> dict[str, Any]:
    """The JSON object a server answered with.

    Raises:
        EndpointError: it is something else; said as what it is.
        openai.APIStatusError: it is an error in spite of its status, with the status that the error names.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = response.content
    start = data[:200].lstrip().lower()
    if kind == "text/event-stream" or start.startswith((b"data:", b"event:", b": ping")):
        problem = f"{endpoint} sent a stream of events (SSE), no chat completion, although none was asked for"
        raise EndpointError(problem, hint="turn streaming off in the server or proxy")
    if kind == "text/html" or start.startswith((b"<!doctype", b"<html")):
        raise EndpointError(f"{endpoint} sent an HTML page{_title(data)}, no chat completion", hint=ADDRESS_HINT)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        sign = data[error.start]
        problem = f"{endpoint} sent text that is not UTF-8 (byte 0x{sign:02x}), so no JSON; perhaps latin-1"
        raise EndpointError(problem, hint="make the server or proxy send UTF-8") from None
    try:
        body = _writable(json.loads(text, strict=False))
    except (ValueError, RecursionError) as error:
        quote = "an empty body" if not text.strip() else quoted(text[:80])
        problem = f"{endpoint} sent something that is no JSON ({type(error).__name__}): {quote}"
        raise EndpointError(problem, hint=ADDRESS_HINT) from None
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        raise EndpointError(f"{endpoint} sent no chat completion but {quoted(text[:80])}", hint=ADDRESS_HINT)
    if message := _error_in(body):
        raise _status_error(message, body, response)
    return body


def server_words(body: object) -> str:
    """What an error body says, whatever its shape; empty when it says nothing."""
    match body:
        case str():
            return body
        case list():
            return "; ".join(filter(None, map(server_words, body)))
        case dict():
            for name in ("message", "msg", "error", "detail", "errors", "error_message", "title", "description"):
                if words := server_words(body.get(name)):
                    where = body.get("loc")
                    path = ".".join(map(str, where)) if isinstance(where, list | tuple) else ""
                    return f"{path}: {words}" if path else words
    return ""


def writable(text: str) -> str:
    """`text` as it can be written and sent: half a surrogate becomes the replacement character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _writable(value: Any) -> Any:
    """The same JSON with every string `writable`."""
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, list):
        return [_writable(one) for one in value]
    if isinstance(value, dict):
        return {writable(name): _writable(one) for name, one in value.items()}
    return value


def quoted(text: str) -> str:
    """A server's words on one line, cut short, free of control characters."""
    clean = printable(" ".join(text.split()))
    return repr(clean if len(clean) <= _QUOTED else clean[: _QUOTED - 1] + "\N{HORIZONTAL ELLIPSIS}")


def _error_in(body: dict[str, Any]) -> object:
    """The error that a body with status 200 holds, or nothing."""
    choices = body.get("choices")
    if isinstance(choices, list) and choices:
        first = choices[0] if isinstance(choices[0], dict) else {}
        message = first.get("message")
        content = message.get("content") if isinstance(message, dict) else message or first.get("text")
        broke = not content or first.get("finish_reason") == "error"
        return (first.get("error") or body.get("error")) if broke else None
    for name in ("error", "errors", "detail"):
        if body.get(name):
            return body[name]
    if body.get("object") == "error" or body.get("type") == "error" or (body.get("message") and not choices):
        return body
    return None


def _status_error(error: object, body: dict[str, Any], response: Any) -> APIStatusError:
    first = error[0] if isinstance(error, list) and error else error
    fields = first if isinstance(first, dict) else {}
    details = {name: fields.get(name, body.get(name)) for name in ("code", "type", "param", "status")}
    made = APIStatusError(
        server_words(error) or json.dumps(error)[:200],
        response=response,
        body={
            "message": server_words(error),
            **{name: value for name, value in details.items() if isinstance(value, str)},
        },
    )
    made.status_code = _status(details, server_words(error)) or response.status_code
    return made


def _status(details: dict[str, Any], words: str) -> int:
    """The HTTP status that an error inside a 200 stands for, or 0."""
    for name in ("code", "status", "type"):
        value = str(details[name] or "")
        if value.isdigit() and 400 <= int(value) < 600:
            return int(value)
    parts = " ".join(str(details[name] or "") for name in ("code", "status", "type"))
    parts = parts.strip() or words
    if _PASSING_WORDS.search(parts):
        return 429
    return 503 if _BUSY_WORDS.search(parts) else 0


def _title(data: bytes) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", data[:20_000].decode("utf-8", "replace"), re.I | re.S)
    return f" ({quoted(title[1])})" if title and title[1].strip() else ""
