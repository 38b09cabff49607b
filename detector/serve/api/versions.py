"""`/v1/descriptions`: the library over HTTP; versions are added and never changed."""

import getpass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from descriptions.common.refs import Ref, parse_ref
from descriptions.format.schema import Anomaly, DescriptionFile, State, Text
from descriptions.lint import Finding
from detector.serve.api import problems
from detector.serve.api.saving import Saved, findings, save
from detector.serve.service import Service, in_thread

EXAMPLE = {
    "object_name": "capsule",
    "parent": 1,
    "reviewer": "Ada",
    "anomalies": [{"id": "crack", "text": "thin dark crack"}, {"id": "dent", "text": "pressed-in dent in the shell"}],
}


class NewVersion(BaseModel):
    """What a new version holds; what is left out is taken from its parent."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    anomalies: Annotated[tuple[Anomaly, ...], Field(max_length=500)]
    """The descriptions."""
    object_name: Text | None = None
    """The words that the model reads for the product; needed for the first version."""
    parent: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Version it was made from."""
    reviewer: Text | None = None
    """Who signs it."""
    status: Literal["draft", "reviewed"] = "draft"
    """`reviewed` once a person has looked at every entry."""
    parts: tuple[Text, ...] | None = None
    """Parts of the product."""
    normal: Annotated[tuple[State, ...], Field(min_length=1, max_length=100)] | None = None
    """Normal states."""
    abnormal: Annotated[tuple[State, ...], Field(max_length=100)] | None = None
    """Generic abnormal states."""


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/descriptions", tags=["descriptions"], responses=problems.RESPONSES)

    @routes.get("", summary="Categories")
    def categories() -> dict[str, Any]:
        """All categories with their versions and labels."""
        return {"categories": [about(service, name) for name in service.store.readable()]}

    @routes.get("/{category}", summary="Versions of a category")
    def versions(category: str) -> dict[str, Any]:
        """Versions and labels of a category."""
        return about(service, service.store.resolve(Ref(parse_ref(category).category)).category)

    @routes.get("/{category}/{version}", summary="One version")
    def version(category: str, version: str) -> dict[str, Any]:
        """One version, by number or label, with what lint says of it."""
        description = service.store.load(parse_ref(f"{parse_ref(category).category}@{version}"))
        return document(description) | {"lint": linted(service, description)}

    @routes.post("/{category}", status_code=201, summary="Add a version")
    async def add(
        category: str,
        new: Annotated[NewVersion, Body(openapi_examples={"changed": {"value": EXAMPLE}})],
        dry_run: Annotated[bool, Query(description="Only say what lint says.")] = False,
        force: Annotated[bool, Query(description="Save in spite of errors that lint finds.")] = False,
    ) -> JSONResponse:
        """Save the next version, unless lint finds errors.

        Versions never change: a second writer gets one more.
        """
        return await in_thread(lambda: _added(service, parse_ref(category).category, new, dry_run, force))  # type: ignore[no-any-return]

    return routes


def _added(service: Service, category: str, new: NewVersion, dry_run: bool, force: bool) -> JSONResponse:
    parent = service.store.load(Ref(category, new.parent)) if new.parent is not None else None
    fields = new.model_dump(exclude_none=True, exclude={"reviewer", "parent"}) | {"anomalies": new.anomalies}
    if parent is not None:
        changed = parent.revised(**fields)
    elif new.object_name is None:
        return problems.problem(422, "no object_name; expected the words for the product, or a parent that has them")
    else:
        changed = DescriptionFile(category=category, **fields)
    service.detector.prompts(changed)
    said = linted(service, changed)
    wrong = [each for each in said if each["level"] == "error"]
    if dry_run:
        return JSONResponse(document(changed) | {"lint": said})
    if wrong and not force:
        lines = "; ".join(f"{each['entry']}: {each['message']}" for each in wrong[:3])
        return problems.problem(422, f"lint finds {len(wrong)} error(s): {lines}", lint=said)
    saved = save(service.settings, changed, parent, new.reviewer or service.settings.reviewer)
    return saved_answer(saved, said)


def saved_answer(saved: Saved, said: list[dict[str, Any]]) -> JSONResponse:
    """201 with the version, what lint says, and which versions are newer than its parent."""
    description = saved.description
    location = f"/v1/descriptions/{description.category}/{description.version}"
    body = document(description) | {"lint": said, "newer_than_parent": list(saved.newer)}
    return JSONResponse(body, 201, {"Location": location})


def document(description: DescriptionFile) -> dict[str, Any]:
    """A version as JSON, with the hash of what the detector reads."""
    return description.model_dump(mode="json") | {"content_hash": description.content_hash}


def linted(service: Service, description: DescriptionFile) -> list[dict[str, Any]]:
    """What lint says, as JSON."""
    lines: list[Finding] = findings(description, service)
    return [each._asdict() for each in lines]


def about(service: Service, category: str) -> dict[str, Any]:
    """A category with its versions and labels."""
    store = service.store
    return {"category": category, "versions": store.versions(category), "labels": store.labels(category)}


def system_user() -> str:
    """The name of whoever runs the server, where the system knows one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
