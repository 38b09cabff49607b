"""`/healthz`, `/readyz`, `/metrics` and `/v1/models`."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from detector.serve.api import problems
from detector.serve.engine.metrics import CONTENT_TYPE
from detector.serve.errors import BusyError
from detector.serve.service import Service
from detector.weights.registry import list_presets

EXAMPLE = {
    "models": [
        {
            "name": "preset mini", "loaded": True, "image_size": 252, "device": "cpu", "precision": "fp32",
            "fingerprint": "9c1e...", "scoring": {"localizer": "self", "gate": "soft"},
        }
    ],
    "presets": ["mini", "vitl"], "references": ["capsule"],
}  # fmt: skip


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["server"], responses=problems.RESPONSES)

    @routes.get("/healthz", summary="Alive")
    async def alive() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive", "version": version("filo-forge")}

    @routes.get("/readyz", summary="Ready")
    async def ready() -> dict[str, str]:
        """The model is loaded and has scored once; 503 before."""
        if not service.ready:
            raise BusyError("the model is being loaded")
        return {"status": "ready"}

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        """Requests, seconds by stage, queue length, batch size, pictures, failures."""
        return Response(service.engine.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    @routes.get(
        "/v1/models", summary="Models",
        responses={200: {"description": "The model in memory", "content": {"application/json": {"example": EXAMPLE}}}},
    )  # fmt: skip
    def models() -> JSONResponse:
        """The one model in memory, the presets, and the references that requests may name."""
        detector = service.detector
        model: dict[str, Any] = {
            "name": service.settings.model,
            "loaded": True,
            "image_size": detector.model.config.image_size,
            "device": str(detector.device),
            "precision": detector.predictor.precision,
            "fingerprint": detector.predictor.weights,
            "scoring": detector.predictor.settings.model_dump(mode="json"),
        }
        return JSONResponse({"models": [model], "presets": list_presets(), "references": list(service.references)})

    return routes
