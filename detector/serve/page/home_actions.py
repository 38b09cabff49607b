"""What people do on the first page: ask for drafts, pause and resume watches."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form
from fastapi.responses import Response

from detector.serve.api.watches import all_watched, switched
from detector.serve.page.rendering import render
from detector.serve.page.state import Page


def router(page: Page) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/page/draft")
    def draft() -> Response:
        return render("draft.html", draft=page.drafting.state)

    @routes.post("/page/draft")
    def start_draft(product: Annotated[str, Form(max_length=200)]) -> Response:
        return render("draft.html", draft=page.drafting.start(product))

    @routes.post("/page/draft/cancel")
    def cancel_draft() -> Response:
        return render("draft.html", draft=page.drafting.cancel())

    @routes.get("/page/watches")
    def watches() -> Response:
        return render("watches.html", watches=all_watched(page.service))

    @routes.post("/page/watches/{name}/{action}")
    def switch_watch(name: str, action: Literal["pause", "resume"]) -> Response:
        switched(page.service, name, action)
        return watches()

    return routes
