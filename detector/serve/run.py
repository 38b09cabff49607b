"""What `detector serve` does: listen, say where, answer until it is stopped."""

import logging
import os
import socket
import webbrowser
from collections.abc import Callable

import uvicorn

from detector import console
from detector.errors import DetectorError
from detector.serve.api.watches import check_watched
from detector.serve.app import make_app
from detector.serve.guard.access import new_token, read_token
from detector.serve.service import Service
from detector.serve.settings import ServeSettings

PATIENCE = 60
"""Seconds that requests under way get to finish when the server is stopped."""


def run_serve(settings: ServeSettings, *, browser: bool = True) -> int:
    """Serve until stopped; returns the exit code.

    Raises:
        ForgeError: before anything is served, when the settings cannot work.
    """
    token = read_token(settings.token_file, os.environ)
    made = token is None and not settings.is_local
    token = new_token() if made else token
    check_watched(settings.watched)
    sock = listen(settings.host, settings.port)
    try:
        app = make_app(Service(settings), token)
    except BaseException:
        sock.close()
        raise
    address = url(settings.host, sock.getsockname()[1])
    opened = f"{address}/?token={token}" if token else address
    _say(f"{settings.model} answers at {address}; stop it with Ctrl-C")
    if made:
        _say(f"made a token, since {settings.host} is not this machine alone; open {opened}")
    server = Server(app, lambda: webbrowser.open(opened) if browser else None)
    server.run(sockets=[sock])
    return 0


class Server(uvicorn.Server):
    """Uvicorn with a word when it is up.

    Args:
        app: of `make_app`.
        started: called once it answers.
    """

    def __init__(self, app: object, started: Callable[[], object] = lambda: None) -> None:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=PATIENCE,
            timeout_keep_alive=30, limit_concurrency=None,
        )  # fmt: skip
        super().__init__(config)
        self._on_start = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start answering."""
        await super().startup(sockets)
        self._on_start()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        DetectorError: the address is taken, or not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise DetectorError(f"--host {host}", expected="an address of this machine, such as 127.0.0.1") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(1024)
    except (OSError, OverflowError) as error:
        sock.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise DetectorError(
            f"cannot listen on {host}:{port} ({reason})", hint="type --port with another number, or --port 0"
        ) from error
    return sock


def url(host: str, port: int) -> str:
    """The address that a person opens."""
    name = "127.0.0.1" if host in ("0.0.0.0", "localhost") else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _say(line: str) -> None:
    console.stderr().print(console.safe(line), soft_wrap=True)


logging.getLogger("multipart").setLevel(logging.WARNING)
