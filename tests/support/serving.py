"""A real server on loopback: uvicorn in a thread around a tiny model."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from detector.serve.app import make_app
from detector.serve.run import Server, listen
from detector.serve.service import Service
from detector.serve.settings import ServeSettings


@dataclass
class Running:
    """A server that answers."""

    url: str
    client: httpx.Client
    service: Service
    server: Server


def tiny_settings(home: Path, **changes: Any) -> ServeSettings:
    """For the workplace of `tests.support.detecting`."""
    fields: dict[str, Any] = {
        "descriptions_dir": home / "library",
        "checkpoint": home / "tiny.safetensors",
        "device": "cpu",
        "port": 0,
        "marks": home / "marks.jsonl",
        "cache_dir": home / "cache",
        "reviewer": "Ada",
    }
    return ServeSettings(**(fields | changes))


@contextmanager
def serving(settings: ServeSettings, token: str | None = None) -> Iterator[Running]:
    """Serve until the block ends; the model is warm."""
    sock = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    service = Service(settings)
    server = Server(make_app(service, token))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200)
        try:
            yield Running(url, client, service, server)
        finally:
            client.close()
            server.should_exit = True
            thread.join(60)
    assert not thread.is_alive(), "the server did not stop"


def wait_until(true: Any, seconds: float = 60) -> None:
    """Until a condition holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def png(seed: int = 0, size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture of noise."""
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def images(*contents: bytes, names: tuple[str, ...] = ()) -> list[Any]:
    """The multipart field `images` of httpx."""
    return [
        ("images", (names[number] if names else f"{number}.png", content, "image/png"))
        for number, content in enumerate(contents)
    ]
