"""How many bytes a request may bring: refused by its header, else counted while they come in."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector.serve.api.problems import of
from detector.serve.errors import TooLargeError

SMALL = 2**20
"""Bytes of a request that brings no pictures."""
DRAINED = 64 * 2**20
"""Bytes of a refused request that are read and forgotten, so that its sender hears the answer."""


class LimitedBodies:
    """Refuses requests of too many bytes with 413, whatever their headers say.

    Args:
        app: what is guarded.
        upload: bytes of a request that brings pictures.
    """

    def __init__(self, app: ASGIApp, upload: int) -> None:
        self.app, self.upload = app, upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.upload if scope["path"].startswith("/v1/detect") else SMALL
        headers = {name.lower(): value for name, value in scope["headers"]}
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            await _refuse(receive, send, limit)
            return
        await _Counted(self.app, limit)(scope, receive, send)


class _Counted:
    """One request whose bytes are counted."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit
        self.seen = 0
        self.started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self.seen += len(message.get("body", b""))
                if self.seen > self.limit:
                    raise too_large(self.limit)
            return message

        async def sending(message: Message) -> None:
            if self.seen > self.limit and not self.started:
                return  # whatever the route makes of a body that broke off
            self.started = True
            await send(message)

        try:
            await self.app(scope, counted, sending)
        except TooLargeError:
            if self.started:
                raise
        if self.seen > self.limit and not self.started:
            await _refuse(receive, send, self.limit)


def too_large(limit: int) -> TooLargeError:
    """The refusal of a body of too many bytes."""
    return TooLargeError("the request is too large", expected=f"at most {limit:,} bytes")


async def _refuse(receive: Receive, send: Send, limit: int) -> None:
    """Answer, then read on for a while: a sender whose connection breaks while it writes never reads the answer."""
    response = of(too_large(limit), limit_bytes=limit)
    headers = [*response.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    drained = 0
    while drained < DRAINED:
        message = await receive()
        drained += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    await send({"type": "http.response.body", "body": b""})
