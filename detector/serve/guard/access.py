"""Who may ask: tokens, hosts and origins; and the headers that every answer carries.

* A server that only this machine reaches needs no token, but refuses foreign `Host` names (a page that rebinds its
  name to 127.0.0.1) and writing requests whose `Origin` is another page.
* Any other server wants its token with every request, as `Authorization: Bearer` or, for browsers, as a cookie that
  `/?token=...` sets once.
"""

import hmac
import secrets
from collections.abc import Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from descriptions.common.errors import SettingsError
from descriptions.common.files import read_text
from detector.serve.api.problems import of, problem
from detector.serve.errors import RefusedError
from detector.serve.settings import LOCAL

COOKIE = "filo_forge_token"
PAGE_TOKEN = "x-page-token"
OPEN = ("/healthz", "/readyz")
"""Paths that a supervisor asks without a token."""
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_SHORTEST = 16
"""Characters of a token that people give."""


def read_token(file: Path | None, environment: Mapping[str, str]) -> str | None:
    """The token of a file, else of `FILO_FORGE_TOKEN`; None where neither is given.

    Raises:
        SettingsError: it cannot be read, or anybody could guess it.
    """
    if file is None:
        token = environment.get("FILO_FORGE_TOKEN", "").strip()
        where = "FILO_FORGE_TOKEN"
    else:
        try:
            token, where = read_text(file).strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"--token-file {file} cannot be read", expected="a file with one token") from error
    if not token and file is None:
        return None
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            f"the token of {where} is too weak", expected=f"at least {_SHORTEST} printable characters without spaces",
            hint="type: openssl rand -hex 24 > token.txt",
        )  # fmt: skip
    return token


class Guard:
    """Refuses whoever may not ask, and adds headers to every answer.

    Args:
        app: what is guarded.
        token: that clients send; None where only this machine reaches the server.
        page_token: that the page sends with every writing request.
    """

    def __init__(self, app: ASGIApp, token: str | None, page_token: str) -> None:
        self.app, self.token, self.page_token = app, token, page_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer that a request gets instead of the one it wants; None where it may have that."""
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        if self.token is None and _name(host) not in (*LOCAL, "testserver"):
            return of(RefusedError(f"host {host[:80]!r}", expected="an address of this machine"))
        if self.token is not None and path not in OPEN:
            typed = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if typed and scope["method"] == "GET" and _same(typed, self.token):
                return self._signed_in(scope)
            if not self._has_token(headers):
                return problem(
                    401, "no valid token; send Authorization: Bearer TOKEN, or open /?token=TOKEN once",
                    {"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
        if scope["method"] in SAFE:
            return None
        return self._foreign(scope, headers)

    def _foreign(self, scope: Scope, headers: Headers) -> Response | None:
        """The refusal of a writing request that another page sent."""
        origin = headers.get("origin")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return of(RefusedError("a request from another site", expected="one from this server's own page"))
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return of(RefusedError(f"a request from {origin[:80]}", expected="one from this server's own page"))
        if scope["path"].startswith("/page/") and not _same(headers.get(PAGE_TOKEN, ""), self.page_token):
            return of(RefusedError("a request without the token of the page", hint="reload the page"))
        return None

    def _has_token(self, headers: Headers) -> bool:
        kind, _, sent = headers.get("authorization", "").partition(" ")
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except Exception:
            cookies.clear()
        kept = cookies[COOKIE].value if COOKIE in cookies else ""
        bearer = sent.strip() if kind.lower() == "bearer" else ""
        return _same(bearer, self.token or "") or _same(kept, self.token or "")

    def _signed_in(self, scope: Scope) -> Response:
        """Back to the same page with a cookie in place of the token, which no address bar should keep."""
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query.pop("token", None)
        rest = urlencode(query, doseq=True)
        path = "/" + scope["path"].lstrip("/\\")  # never `//host`
        response = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        response.set_cookie(COOKIE, self.token or "", httponly=True, samesite="strict", path="/")
        return response


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def _same(sent: str, right: str) -> bool:
    """Whether two tokens are equal, in a time that does not say how much of them is."""
    return bool(right) and hmac.compare_digest(sent.encode("utf-8", "replace"), right.encode())


def _name(host: str) -> str:
    """The name of a `Host` header without its port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower()
