"""`/v1/watches`: what the watches named by `--watched` have done; they can be paused and resumed."""

from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter

from detector.serve.api import problems
from detector.serve.errors import MissingError, ServeError
from detector.serve.service import Service
from detector.serve.watch.pause import Pause, Watched, read_watched

EXAMPLE = {
    "watches": [
        {
            "name": "line3", "paused": False, "done": 1204, "failed": 1, "anomalous": 17,
            "last": "2026-01-31T07:30:12.250+00:00",
        }
    ]
}  # fmt: skip


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/watches", tags=["watches"], responses=problems.RESPONSES)

    @routes.get(
        "", summary="Watches",
        responses={200: {"description": "Those of --watched", "content": {"application/json": {"example": EXAMPLE}}}},
    )  # fmt: skip
    def watches() -> dict[str, Any]:
        """Photos done, failed and anomalous of every watch, and whether it rests."""
        return {"watches": [each._asdict() for each in all_watched(service)]}

    @routes.post("/{name}/{action}", summary="Pause or resume")
    def switch(name: str, action: Literal["pause", "resume"]) -> dict[str, Any]:
        """Rest after the photo in hand, or go on. Saying so twice is no error."""
        return switched(service, name, action)._asdict()

    return routes


def check_watched(folders: tuple[Path, ...]) -> None:
    """See that every folder is that of a watch, and that names differ.

    Raises:
        ServeError: not so.
    """
    names = [read_watched(folder).name for folder in folders]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ServeError(f"--watched names two folders called {twice}", expected="folders of different names")


def all_watched(service: Service) -> list[Watched]:
    """All watches, in the order of the command line."""
    return [read_watched(folder) for folder in service.settings.watched]


def switched(service: Service, name: str, action: str) -> Watched:
    """The watch after it was paused or resumed.

    Raises:
        MissingError: there is none of this name.
        OutputError: its folder cannot be written to.
    """
    folders = {folder.resolve().name: folder for folder in service.settings.watched}
    if name not in folders:
        known = ", ".join(folders) or "none; start the server with --watched FOLDER"
        raise MissingError(f"no watch {name[:80]!r}", expected=f"one of: {known}")
    Pause(folders[name]).switch(action == "pause")
    return read_watched(folders[name])
