"""What people do on the page: lint as they type, save, mark. Writing requests carry the page's token (see `Guard`)."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from descriptions.common.errors import ForgeError
from detector.serve.api.saving import findings, save
from detector.serve.errors import MissingError, ServeError
from detector.serve.page import views
from detector.serve.page.asked import View
from detector.serve.page.draft import Draft, Step
from detector.serve.page.home import report
from detector.serve.page.rendering import render
from detector.serve.page.routes import context
from detector.serve.page.state import Page
from detector.serve.service import in_thread

REPORT_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "sandbox allow-scripts"
)
"""Of reports, which carry their own script; `sandbox` keeps them apart from the page."""


def router(page: Page) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/page/lint/{category}")
    async def lint(request: Request, category: str) -> Response:
        query = request.query_params
        base = page.version(category, query.get("v"))
        view = View.read("review", base.category, query, base.version)  # with what is being typed as a last step
        name = query.get("id") or ""
        try:
            draft = view.draft(base)
            page.service.detector.prompts(draft.description)
        except ForgeError as error:
            return render("lint.html", findings=[], words=[], error=str(error), empty=not query.get("value"))
        entry = next((each for each in draft.description.anomalies if each.id == name), draft.description.anomalies[-1])
        said = findings(draft.description, page.service)
        words = views.pieces(entry.text, page.service.known_tokens)
        own = [each for each in said if each.entry == entry.id]
        return render("lint.html", findings=own, words=words, error="", empty=False)

    @routes.post("/page/save/{category}")
    async def saving(category: str, form: Request) -> Response:
        fields = await form.form(max_files=0, max_fields=400)
        return await in_thread(lambda: _save(page, category, fields))  # type: ignore[no-any-return]

    @routes.post("/page/marks/{category}")
    def mark(
        category: str,
        photo: Annotated[str, Form(max_length=40)],
        label: Annotated[str, Form(max_length=20)] = "",
        phrase: Annotated[str | None, Form(max_length=200)] = None,
        by: Annotated[str, Form(max_length=200)] = "",
    ) -> HTMLResponse:
        page.marks.add(page.album(category).get(photo), category, label or None, by.strip() or page.reviewer, phrase)
        return HTMLResponse("", headers={"HX-Trigger": "marked"})

    @routes.get("/page/contributions/{category}")
    async def contributions(request: Request, category: str) -> Response:
        base = page.version(category, request.query_params.get("v"))
        view = View.read("judge", base.category, request.query_params, base.version)
        return render("contributions.html", rows=await _contributions(page, view, view.draft(base)))

    @routes.get("/runs/{name}/report.html")
    def show_report(name: str) -> Response:
        path = report(page, name)
        if path is None:
            raise MissingError(f"no report of a run {name[:80]!r}")
        return HTMLResponse(path.read_bytes(), headers={"Content-Security-Policy": REPORT_POLICY})

    return routes


def _save(page: Page, category: str, fields: Any) -> Response:
    base = page.version(category, str(fields.get("v", "")) or None)
    draft = Draft.made(base, [Step.read(str(text)) for text in fields.getlist("do")])
    if draft.description == base:
        raise ServeError("nothing is changed", hint="switch, edit or add a phrase first")
    said = findings(draft.description, page.service)
    wrong = [f"{each.entry or 'the file'}: {each.message}" for each in said if each.level == "error"]
    if wrong:
        raise ServeError(f"lint finds {len(wrong)} error(s): {'; '.join(wrong[:3])}", hint="mend or switch them off")
    page.service.detector.prompts(draft.description)
    reviewer = " ".join(str(fields.get("by", "")).split())[:200] or page.reviewer
    saved = save(page.service.settings, draft.description, base, reviewer)
    view = View("review", saved.description.category, saved.description.version, (), "score", "")
    seen = str(fields.get("latest", "")) or "0"
    meanwhile = [number for number in saved.newer if seen.isdigit() and number > int(seen[:9])]
    others = "".join(f"&other={number}" for number in meanwhile)
    return HTMLResponse("", headers={"HX-Redirect": f"{view.url()}&saved=1{others}"})


async def _contributions(page: Page, view: View, draft: Draft) -> list[dict[str, Any]]:
    """By how much the AUROC falls without each phrase; positive helps."""
    cards = context(page, view, draft)["cards"]
    labelled = [card for card in cards if card.shown is not None and card.bad is not None]
    whole = views.auroc(labelled)
    if whole is None:
        return []
    photos = [card.photo for card in labelled]
    rows = []
    enabled = [entry for entry in draft.description.anomalies if entry.enabled]
    for index, entry in enumerate(enabled):
        scores = await page.service.run(partial(page.gallery.without, draft.description, photos, index))
        fewer = [
            card._replace(shown=card.shown._replace(score=score)) for card, score in zip(labelled, scores, strict=True)
        ]
        part = views.auroc(fewer)
        rows.append({"id": entry.id, "text": entry.text, "gain": whole.value - part.value if part else 0.0})
    return sorted(rows, key=lambda row: -row["gain"])
