"""Errors as problem documents (RFC 9457), in the sentences of the command line."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from descriptions.common.errors import ForgeError, wanted
from descriptions.common.terminal import printable
from detector.console import encodable
from detector.serve.errors import RETRY_AFTER, status_of

MEDIA_TYPE = "application/problem+json"
CLOSED = 499
"""Status noted for a client that went away, so that it counts as no failure of the server; nobody receives it."""
EXAMPLE = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "no category 'capsle' in descriptions; expected one of: capsule, screw; did you mean capsule?",
    "problem": "no category 'capsle' in descriptions",
    "expected": "one of: capsule, screw",
    "hint": "did you mean capsule?",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What came, what was expected, what to do",
        "content": {MEDIA_TYPE: {"example": EXAMPLE}},
    }
}
"""For every route."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """One problem document.

    Args:
        status: of HTTP.
        detail: one line for people.
        headers: of the answer.
        more: further members.
    """
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": _clean(detail), **_cleaned(more)}
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def of(error: ForgeError, **more: Any) -> JSONResponse:
    """The document of one of our errors."""
    status = status_of(error)
    parts = {name: getattr(error, name) for name in ("problem", "expected", "hint") if getattr(error, name)}
    headers = {"Retry-After": str(RETRY_AFTER)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(status, str(error), headers, **parts, **more)


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem document."""

    @app.exception_handler(ForgeError)
    async def ours(_: Request, error: ForgeError) -> JSONResponse:
        return of(error)

    @app.exception_handler(ValidationError)
    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError | ValidationError) -> JSONResponse:
        lines = [_complaint(each) for each in error.errors()]
        return problem(422, "; ".join(lines[:5]))

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        status = 413 if "Too many" in str(error.detail) else error.status_code
        return problem(status, str(error.detail), error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=CLOSED)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        return problem(500, f"the server failed ({type(error).__name__}); its log says more")


def _complaint(detail: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in detail["loc"] if part not in ("body", "query", "path"))
    return f"{where or 'the body'}: {wanted(str(detail['msg']))}, not {str(detail.get('input'))[:80]!r}"


def _cleaned(more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _clean(value) if isinstance(value, str) else value for name, value in more.items()}


def _clean(text: str) -> str:
    return printable(encodable(text))
