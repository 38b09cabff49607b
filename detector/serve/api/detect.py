"""`POST /v1/detect`: pictures in; the document of `detector detect`, pictures or raw maps out."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from descriptions.format.schema import DescriptionFile
from detector.detect.detection import Detection, Failure
from detector.detect.references import ReferenceScorer
from detector.detect.together import TogetherScorer
from detector.scoring.threshold import Threshold
from detector.serve.api import asked as asking
from detector.serve.api import problems
from detector.serve.api.answers import Scored, pictures, raw_maps
from detector.serve.api.asked import Asked
from detector.serve.api.uploads import Form, Limits, received
from detector.serve.engine.engine import Picture, Words
from detector.serve.service import Service, in_thread

EXAMPLE = {
    "images": [
        {
            "path": "photo.png", "score": 0.71, "verdict": None, "region": "top left", "boxes": [],
            "descriptions": [{"id": "crack", "text": "thin dark crack", "similarity": 0.31}], "heatmap": None,
        }
    ],
    "failed": [], "descriptions": "capsule@1", "content_hash": "1f0c...", "threshold": None, "threshold_from": None,
    "map_scale": {"low": 0.4, "high": 1.0, "level": 0.7, "level_from": "the middle of the scale"},
}  # fmt: skip


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/v1", tags=["detect"], responses=problems.RESPONSES)
    limits = Limits(service.settings.max_images, service.settings.max_pixels)
    body = {"required": True, "content": {"multipart/form-data": {"schema": asking.schema()}}}
    answers = {
        "application/json": {"schema": {"type": "object"}, "example": EXAMPLE},
        "image/png": {}, "application/x-npy": {}, "application/zip": {},
    }  # fmt: skip

    @routes.post(
        "/detect",
        summary="Score pictures",
        response_class=Response,
        openapi_extra={"requestBody": body},
        responses={200: {"description": "As `detector detect --format json` prints it", "content": answers}},
    )
    async def detect(request: Request) -> Response:
        """Score one or many pictures with the words of a description version."""
        service.engine.require_room()
        async with received(request, limits, asking.FIELDS) as form:
            asked = asking.read(form.fields)
            asking.require_sense(asked, form)
            description = service.load(asked.ref)
            work = asyncio.ensure_future(_answer(service, asked, description, form))
            gone = asyncio.ensure_future(_disconnected(request))
            try:
                await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
                return work.result() if work.done() else Response(status_code=problems.CLOSED)
            finally:
                for task in (work, gone):
                    task.cancel()
                await asyncio.gather(work, gone, return_exceptions=True)  # files may vanish once nobody reads them

    return routes


async def _disconnected(request: Request) -> None:
    """Until the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer(service: Service, asked: Asked, description: DescriptionFile, form: Form) -> Response:
    words, scorer = await service.words(description, asked.references, form.references)
    if asked.together:
        results, threshold = await _together(service, asked, description, form.pictures, scorer)
        scored = Scored()
        for place, result in enumerate(results):
            scored.add(place, result)
    else:
        threshold = threshold_of(service, asked, description, scorer)
        results, scored = await _collected(service, form.pictures, words, keep=asked.format != "json")
    if not scored.rows:
        return problems.problem(
            422, "; ".join(each.error for each in scored.failed.values()),
            failed=[each._asdict() for each in scored.failed.values()],
        )  # fmt: skip
    if asked.format == "json":
        return JSONResponse(scored.document(description, threshold))
    usable = [each._replace(threshold=threshold) for each in results if isinstance(each, Detection)]
    content, kind = await in_thread(lambda: (pictures if asked.format == "png" else raw_maps)(usable))
    return Response(content, media_type=kind)


threshold_of = asking.threshold_of


async def _collected(
    service: Service, images: Sequence[Picture], words: Words, *, keep: bool
) -> tuple[list[Detection | Failure], Scored]:
    """Score pictures; where the task is cancelled, they give their places in the queue away."""
    scored = Scored()
    results: dict[int, Detection | Failure] = {}

    async def one(place: int, future: Any) -> None:
        result = await asyncio.wrap_future(future)
        await in_thread(lambda: scored.add(place, result))
        if keep:
            results[place] = result

    futures = service.engine.submit(images, words)
    tasks = [asyncio.ensure_future(one(place, future)) for place, future in enumerate(futures)]
    del futures  # a result that is written down holds a picture no longer
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return [results[place] for place in sorted(results)], scored


async def _together(
    service: Service,
    asked: Asked,
    description: DescriptionFile,
    images: Sequence[Picture],
    references: ReferenceScorer | None,
) -> tuple[list[Detection | Failure], Threshold | None]:
    """Score pictures among each other, all in one go on the model's thread."""
    service.engine.require_room(len(images))
    names = {str(each.path): each.name for each in images}

    def work() -> tuple[list[Detection | Failure], Threshold | None]:
        scorer = TogetherScorer(service.detector, description, list(names), references)
        threshold = asking.threshold_of(service, asked, description, scorer)
        return [_named(result, names) for result in scorer.stream(list(names))], threshold

    return await service.run(work)  # type: ignore[no-any-return]


def _named(result: Detection | Failure, names: dict[str, str]) -> Detection | Failure:
    name = names[result.path]
    if isinstance(result, Failure):
        return Failure(name, result.error.replace(result.path, name))
    return result._replace(path=name)
