"""What `/metrics` shows, in Prometheus' own format."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server; a registry of its own, so that two servers in one process do not mix.

    Args:
        queue_length: pictures that are held now.
    """

    def __init__(self, queue_length: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"namespace": "filo_forge", "registry": self.registry}
        self.requests = Counter("requests", "Requests by route and status.", ("route", "status"), **own)
        self.request_seconds = Histogram(
            "request_seconds", "Seconds until the answer, by route.", ("route",), buckets=_SECONDS, **own
        )
        self.stage_seconds = Histogram(
            "stage_seconds", "Seconds a picture, by stage: wait, load, model.", ("stage",), buckets=_SECONDS, **own
        )
        self.batch_size = Histogram(
            "batch_size", "Pictures that went through the model at once.", buckets=_SIZES, **own
        )
        self.pictures = Counter("pictures", "Pictures by outcome: scored, failed, cancelled.", ("outcome",), **own)
        self.refused = Counter("refused", "Requests refused for a full queue.", **own)
        self.failures = Counter("failures", "Answers with status 500.", **own)
        Gauge("queue_length", "Pictures that wait or are scored.", **own).set_function(queue_length)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self.registry)
