"""The application: routes, guards and what happens at start and stop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector.serve.api import batches, detect, health, problems, versions, watches
from detector.serve.engine.jobs import Jobs
from detector.serve.guard.access import Guard, new_token
from detector.serve.guard.limits import LimitedBodies
from detector.serve.page import actions, home_actions, media, routes
from detector.serve.page.state import Page
from detector.serve.service import Service

DESCRIPTION = """Find defects by description files. Pictures go in as multipart; answers are the documents of
`detector detect --format json`; errors are problem documents (RFC 9457)."""


def make_app(service: Service, token: str | None = None) -> ASGIApp:
    """The whole application.

    Args:
        service: with its engine running; it is closed when the application stops.
        token: that clients send; None where only this machine reaches the server.
    """
    jobs = Jobs(service.settings.max_jobs)
    page_token = new_token()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.get_running_loop().run_in_executor(None, service.warm_up)
        yield
        await warming
        await jobs.close()
        await asyncio.to_thread(page.drafting.cancel)
        await asyncio.to_thread(service.close)

    page = Page(service, page_token)
    app = FastAPI(
        title="FiLo Forge", version=version("filo-forge"), description=DESCRIPTION, lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    problems.install(app)
    for router in (
        detect.router(service), batches.router(service, jobs), versions.router(service), health.router(service),
        watches.router(service), routes.router(page), actions.router(page), home_actions.router(page),
        media.router(page),
    ):  # fmt: skip
        app.include_router(router)
    return Guard(LimitedBodies(_Counting(app, service), service.settings.max_upload), token, page_token)


class _Counting:
    """Counts requests by route and status."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.metrics = app, service.engine.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")  # never a client's own path: labels would pile up
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.request_seconds.labels(route).observe(time.perf_counter() - began)
            if status >= 500 and status != 503:
                self.metrics.failures.inc()
