"""`/v1/detect/batch`: many pictures as a job with progress and cancel."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from descriptions.format.schema import DescriptionFile
from detector.detect.detection import Detection, Failure
from detector.serve.api import asked as asking
from detector.serve.api import problems
from detector.serve.api.answers import Scored
from detector.serve.api.events import stream
from detector.serve.api.uploads import Form, Limits, received
from detector.serve.engine.jobs import Job, Jobs, fed
from detector.serve.service import Service

EXAMPLE = {"id": "5f2a9c0d11e4b7aa", "state": "running", "done": 12, "failed": 0, "total": 400}


def router(service: Service, jobs: Jobs) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/detect/batch", tags=["batch"], responses=problems.RESPONSES)
    limits = Limits(service.settings.max_batch, service.settings.max_pixels)
    body = {"required": True, "content": {"multipart/form-data": {"schema": asking.schema()}}}
    about = {"description": "Its state", "content": {"application/json": {"example": EXAMPLE}}}

    @routes.post(
        "", status_code=202, summary="Start a job", openapi_extra={"requestBody": body}, responses={202: about}
    )
    async def start(request: Request) -> JSONResponse:
        """Take pictures and score them one after another; the answer comes at once and names the job."""
        jobs.require_room()
        job = Job()
        try:
            async with received(request, limits, asking.FIELDS, job.folder) as form:
                asked = asking.read(form.fields)
                asking.require_sense(asked, form, batch=True)
                description = service.load(asked.ref)
        except BaseException:
            job.discard()
            raise
        job.total = len(form.pictures)

        work = partial(_work, service, asked, description, form)
        jobs.start(job, work)
        return JSONResponse(job.about(), 202, {"Location": f"/v1/detect/batch/{job.id}"})

    @routes.get("/{job}", summary="State of a job", responses={200: about})
    async def state(job: str) -> dict[str, Any]:
        """How far a job is."""
        return jobs.get(job).about()

    @routes.get("/{job}/events", summary="Progress of a job", response_class=StreamingResponse)
    async def events(job: str) -> Response:
        """Server-sent events: the state at every change, until the job is finished."""
        return stream(jobs.get(job).follow())

    @routes.get("/{job}/result", summary="Result of a job")
    async def result(job: str) -> JSONResponse:
        """The document of `POST /v1/detect`, once the job is done."""
        asked = jobs.get(job)
        if asked.document is None:
            return problems.problem(409, f"the job is {asked.state}: {asked.done} of {asked.total} pictures are done")
        return JSONResponse(asked.document)

    @routes.delete("/{job}", summary="Cancel a job", responses={200: about})
    async def cancel(job: str) -> dict[str, Any]:
        """Stop a job; pictures that are in the model are finished."""
        return jobs.cancel(job).about()

    return routes


async def _work(
    service: Service, asked: asking.Asked, description: DescriptionFile, form: Form, job: Job
) -> dict[str, Any]:
    """Score the pictures of a job; gives its document."""
    words, scorer = await service.words(description, asked.references, form.references)
    threshold = asking.threshold_of(service, asked, description, scorer)
    scored = Scored()

    def take(place: int, result: Detection | Failure) -> None:
        scored.add(place, result)
        job.advance(done=len(scored.rows) + len(scored.failed), failed=len(scored.failed))

    await fed(service.engine, form.pictures, words, take)
    return scored.document(description, threshold)
