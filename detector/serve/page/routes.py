"""The pages: home, review, judge and compare. Every state of them has an address."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from descriptions.common.refs import Ref, parse_ref
from descriptions.diff import diff
from detector.runs.threshold import read_threshold
from detector.serve.api.events import stream
from detector.serve.api.saving import findings, summary
from detector.serve.api.watches import all_watched
from detector.serve.errors import ServeError
from detector.serve.page import views
from detector.serve.page.asked import SORTS, View
from detector.serve.page.draft import Draft
from detector.serve.page.home import categories, evaluations
from detector.serve.page.rendering import render
from detector.serve.page.state import Page

INLINE = 8
"""Photos that may be looked at for the first time before the page is shown; more are shown with their progress."""


def router(page: Page) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def home() -> Response:
        return render(
            "home.html", page=page, title="FiLo Forge", rows=categories(page), runs=evaluations(page), mode="home",
            watches=all_watched(page.service), draft=page.drafting.state, category=sole_category(page), view=None,
        )  # fmt: skip

    @routes.get("/review/{category}")
    @routes.get("/judge/{category}")
    async def look(request: Request, category: str) -> Response:
        mode = request.url.path.split("/")[1]
        base = page.version(category, request.query_params.get("v"))
        view = View.read(mode, base.category, request.query_params, base.version)
        if category != base.category or request.query_params.get("op"):
            url = view.url()
            if "hx-request" not in request.headers:
                return RedirectResponse(url, 303)
        draft = view.draft(base)
        photos = page.album(base.category).photos
        waiting = page.gallery.unseen(photos) > INLINE and "hx-request" not in request.headers
        if not waiting:
            await _scored(page, draft, request.is_disconnected)
        answer = render(f"{mode}.html", **context(page, view, draft, waiting=waiting))
        if "hx-request" in request.headers:
            answer.headers["HX-Push-Url"] = view.url()
        return answer

    @routes.get("/compare/{category}")
    async def compare(request: Request, category: str) -> Response:
        name = parse_ref(category).category
        versions = page.service.store.versions(page.service.store.resolve(Ref(name)).category)
        query = request.query_params
        new = page.version(name, query.get("b") or "latest")
        meant = page.version(name, query.get("a"))
        older = [version for version in versions if version < new.version]
        old = (
            page.version(name, str(older[-1]))
            if meant.version == new.version and older and not query.get("a")
            else meant
        )
        photos = page.album(name).photos
        waiting = page.gallery.unseen(photos) > INLINE and "hx-request" not in request.headers
        for description in () if waiting else (old, new):
            await page.score(description, photos, request.is_disconnected)
        return render("compare.html", **compared(page, old, new, versions, waiting=waiting))

    @routes.get("/page/progress/{category}")
    async def progress(category: str) -> Response:
        return stream(page.followed(parse_ref(category).category))

    return routes


def sole_category(page: Page) -> str:
    """The product that the server was started for, without its version; empty where there is none."""
    return (page.service.settings.category or "").partition("@")[0]


async def _scored(page: Page, draft: Draft, gone: Callable[[], Awaitable[bool]]) -> None:
    page.service.detector.prompts(draft.description)  # a phrase that is too long is said before anything is scored
    photos = page.album(draft.base.category).photos
    for description in (draft.base, draft.description):
        await page.score(description, photos, gone)


def context(page: Page, view: View, draft: Draft, *, waiting: bool = False) -> dict[str, Any]:
    """What the templates of review and judge show."""
    service = page.service
    said = findings(draft.description, service)
    words, base = page.remember(draft.description), page.remember(draft.base)
    threshold = read_threshold(service.settings.threshold, view.category)
    album = page.album(view.category)
    state, before = page.gallery.state(words), page.gallery.state(base)
    marks = page.marks.read()
    cards = [] if waiting else views.cards(album.photos, state, before, marks, threshold, view.sort)
    shown = next((card for card in cards if card.photo.key == view.photo), None)
    if view.photo and not waiting and shown is None:
        raise ServeError(f"no photo {view.photo!r}", hint="leave photo out of the address")
    return {
        "page": page, "view": view, "mode": view.mode, "category": view.category, "draft": draft, "words": words,
        "base": base, "title": f"{draft.base.ref}", "sorts": SORTS, "waiting": waiting, "album": album,
        "phrases": views.phrases(draft, said, service.known_tokens),
        "about": [finding for finding in said if not finding.entry], "cards": cards, "shown": shown,
        "strip": views.strip(cards), "threshold": threshold, "scale": page.scale(base, view.category),
        "auroc": views.auroc(cards), "before": views.auroc(_as_before(cards, before)) if draft.steps else None,
        "versions": service.store.versions(view.category), "summary": summary(draft.base, draft.description),
        "marks": marks, "matches": list(shown.shown.matches) if shown and shown.shown else [],
        "references": page.references(view.category), "known": sum(card.bad is not None for card in cards),
    }  # fmt: skip


def _as_before(cards: list[views.Card], before: Any) -> list[views.Card]:
    """The cards with the scores of the saved version."""
    return [
        card._replace(shown=old) for card in cards if not isinstance(old := before.get(card.photo.key), str) and old
    ]


def compared(page: Page, old: Any, new: Any, versions: list[int], *, waiting: bool) -> dict[str, Any]:
    """What the comparison of two versions shows."""
    service = page.service
    first, second = page.remember(old), page.remember(new)
    album, marks = page.album(new.category), page.marks.read()
    threshold = read_threshold(service.settings.threshold, new.category)
    states = page.gallery.state(first), page.gallery.state(second)
    cards = [] if waiting else views.cards(album.photos, states[1], states[0], marks, threshold, "change")
    return {
        "page": page, "mode": "compare", "category": new.category, "title": f"{old.ref} and {new.ref}", "old": old,
        "new": new, "versions": versions, "cards": cards, "before": states[0], "old_words": first, "words": second,
        "base": first, "waiting": waiting, "scale": page.scale(first, new.category), "kinds": views.changes(old, new),
        "auroc": views.auroc(cards), "old_auroc": views.auroc(_as_before(cards, states[0])), "album": album,
        "same": diff(old, new).same_content, "view": None, "references": page.references(new.category),
    }  # fmt: skip
