"""Throughput and latency of `detector serve` beside a plain loop: `python -m benchmarks.serve`.

A server of its own process answers 1, 4, 16 and 64 clients on loopback, each with a request of one photo after another
for a while; then one client sends sixteen photos per request. Before and after, a plain loop over `Detector.predict`
scores the same photos in this process: compare the ratio of photos per second. `--memory N` follows the server's
resident memory over N requests, `--page` the time from a switch to new maps.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from detector.data.sample_set import write_sample_set
from detector.detect.detector import Detector

CLIENTS = (1, 4, 16, 64)


@contextmanager
def server(folder: Path, *options: str) -> Iterator[tuple[str, int]]:
    """The address and the process of a server."""
    script = Path(sys.executable).with_name("detector")
    words = [script, "serve", "--no-browser", "--port", "0", "--cache-dir", str(folder / "cache"), *options]
    env = os.environ | {"COLUMNS": "200"}
    with subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        try:
            url = next(filter(None, (re.search(r"http://\S+?(?=;)", line) for line in process.stderr)))[0]
            while httpx.get(f"{url}/readyz").status_code != 200:
                time.sleep(0.1)
            yield url, process.pid
        finally:
            process.terminate()


def loop(detector: Detector, paths: list[Path], seconds: float) -> float:
    """Photos a second of a plain loop."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += sum(1 for _ in detector.predict(paths, "capsule"))
    return count / (time.perf_counter() - began)


async def clients(url: str, contents: list[bytes], count: int, seconds: float) -> dict[str, float]:
    """Photos a second and latencies while so many clients ask, each for one photo at a time."""
    waits: list[float] = []
    refused = 0
    until = time.perf_counter() + seconds

    async def one(client: httpx.AsyncClient, number: int) -> None:
        nonlocal refused
        while time.perf_counter() < until:
            began = time.perf_counter()
            files = [("images", ("a.png", contents[number % len(contents)]))]
            answer = await client.post("/v1/detect", files=files, data={"category": "capsule"})
            if answer.status_code == 503:
                refused += 1
                await asyncio.sleep(0.2)
                continue
            answer.raise_for_status()
            waits.append(time.perf_counter() - began)
            number += 1

    began = time.perf_counter()
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await asyncio.gather(*(one(client, number) for number in range(count)))
    spent = time.perf_counter() - began
    p50, p95, p99 = np.quantile(waits, [0.5, 0.95, 0.99])
    return {"photos/s": len(waits) / spent, "p50 s": p50, "p95 s": p95, "p99 s": p99, "refused": refused}


def many(url: str, contents: list[bytes], seconds: float) -> float:
    """Photos a second of one client that sends them sixteen at a time."""
    count, began = 0, time.perf_counter()
    files: list[Any] = [("images", (f"{number}.png", content)) for number, content in enumerate(contents[:16])]
    with httpx.Client(base_url=url, timeout=120) as client:
        while time.perf_counter() - began < seconds:
            client.post("/v1/detect", files=files, data={"category": "capsule"}).raise_for_status()
            count += len(files)
    return count / (time.perf_counter() - began)


def resident(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory(url: str, pid: int, contents: list[bytes], requests: int) -> None:
    """Resident memory while requests pass."""
    with httpx.Client(base_url=url, timeout=120) as client:
        for number in range(requests + 1):
            if number % max(requests // 10, 1) == 0:
                print(f"{number:5} requests {resident(pid):7.0f} MB", flush=True)
            files = [("images", ("a.png", contents[number % len(contents)]))]
            client.post("/v1/detect", files=files, data={"category": "capsule"}).raise_for_status()


def page(folder: Path) -> None:
    """Seconds from a switch to the answer with new scores, and to the last map."""
    for photos in (8, 32, 128):
        folders = sorted((folder / "pictures" / "capsule").glob("*/*/"))
        paths = [path for each in folders for path in sorted(each.glob("*.png"))]
        many_photos = folder / f"photos{photos}"
        many_photos.mkdir()
        for number in range(photos):
            (many_photos / f"{number:03}.png").write_bytes(paths[number % len(paths)].read_bytes() + bytes([number]))
        with (
            server(folder, "--photos", str(many_photos), "--category", "capsule") as (url, _),
            httpx.Client(base_url=url, timeout=600, headers={"hx-request": "true"}) as client,
        ):
            client.get("/review/capsule?v=1").raise_for_status()
            times = []
            for name in ("crack-1", "crack-2", "hole-1", "scratch-1", "loose-joint-1"):
                began = time.perf_counter()
                text = client.get(f"/review/capsule?v=1&do=off~{name}").raise_for_status().text
                scored = time.perf_counter() - began
                for source in re.findall(r'class="map" src="([^"]+)"', text):
                    client.get(source).raise_for_status()
                times.append((scored, time.perf_counter() - began))
            scored, shown = np.median(np.array(times), axis=0)
            print(f"{photos:4} photos: scores after {scored:.2f} s, the last map after {shown:.2f} s", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, nargs="*", default=CLIENTS)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample_set(folder / "pictures")
        paths = sorted((folder / "pictures" / "capsule" / "test").glob("*/*.png"))
        contents = [path.read_bytes() for path in paths]
        if asked.page:
            page(folder)
            return
        if asked.memory:
            with server(folder) as (url, pid):
                memory(url, pid, contents, asked.memory)
            return
        detector = Detector.from_pretrained("mini")
        loop(detector, paths[:4], 1)
        rates = [loop(detector, paths, asked.seconds)]
        with server(folder) as (url, _):
            for count in asked.clients:
                result = asyncio.run(clients(url, contents, count, asked.seconds))
                shown = ", ".join(f"{key} {value:.2f}" for key, value in result.items())
                print(f"{count:3} clients: {shown}", flush=True)
            grouped = many(url, contents, asked.seconds)
        rates.append(loop(detector, paths, asked.seconds))
        plain = sum(rates) / 2
        print(f"sixteen photos a request: {grouped:.2f} photos/s")
        print(f"plain loop: {plain:.2f} photos/s before and after ({rates[0]:.2f}, {rates[1]:.2f})")
        print(f"ratio of sixteen a request to the loop: {grouped / plain:.2f}")


if __name__ == "__main__":
    main()
