"""Pictures and files that the page shows; a browser may keep them, since their addresses change with their content."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Path
from fastapi.responses import Response

from detector.serve.errors import MissingError
from detector.serve.page import drawing
from detector.serve.page.rendering import static
from detector.serve.page.state import Page
from detector.serve.service import in_thread

FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
Key = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


def router(page: Page) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/static/{name}")
    async def file(name: str) -> Response:
        content, kind = static(name)
        return Response(content, headers={"Content-Type": kind, "Cache-Control": "private, max-age=60"})

    @routes.get("/media/photo/{category}/{key}/{size}.jpg")
    async def photo(category: str, key: Key, size: Literal["small", "large"]) -> Response:
        wanted = page.album(category).get(key)
        return await _picture(lambda: drawing.photo(page.service.detector.predictor.load(wanted.path), size), "jpeg")

    @routes.get("/media/map/{category}/{key}/{words}/{base}.png")
    async def heat(category: str, key: Key, words: Key, base: Key) -> Response:
        shown = await page.one(page.words(words), page.album(category).get(key))
        return await _picture(lambda: drawing.heat(shown.map, page.scale(base, category)))

    @routes.get("/media/line/{category}/{key}/{words}/{base}.png")
    async def line(category: str, key: Key, words: Key, base: Key) -> Response:
        wanted = page.album(category).get(key)
        shown = await page.one(page.words(words), wanted)
        level = page.scale(base, category).level

        def draw() -> bytes:
            size = page.service.detector.predictor.load(wanted.path).size
            return drawing.level_line(shown.map, level, size)

        return await _picture(draw)

    @routes.get("/media/mask/{category}/{key}.png")
    async def mask(category: str, key: Key) -> Response:
        wanted = page.album(category).get(key)
        if wanted.mask is None:
            raise MissingError(f"{wanted.name} has no mask")
        path = wanted.mask
        return await _picture(lambda: drawing.mask_line(path, wanted.path))

    @routes.get("/media/phrase/{category}/{key}/{words}/{name}.png")
    async def phrase(category: str, key: Key, words: Key, name: str) -> Response:
        description, wanted = page.words(words), page.album(category).get(key)
        ids = [entry.id for entry in description.anomalies if entry.enabled]
        if name not in ids:
            raise MissingError(f"no phrase {name[:80]!r} is switched on")
        grid = await page.service.run(lambda: page.gallery.phrases(description, wanted))
        low, high = float(np.median(grid)), float(grid.max())
        return await _picture(lambda: drawing.phrase(grid[..., ids.index(name)], low, high))

    return routes


async def _picture(draw: Callable[[], bytes], kind: str = "png") -> Response:
    return Response(await in_thread(draw), media_type=f"image/{kind}", headers=FOREVER)
