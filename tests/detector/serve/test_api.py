"""The API over a real socket."""

import io
import json
import re
import socket
import threading
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.detecting import command, run
from tests.support.serving import Running, images, png, wait_until


def detect(running: Running, *contents: bytes, names: tuple[str, ...] = (), **fields: str) -> Any:
    return running.client.post("/v1/detect", files=images(*contents, names=names), data={"category": "gear", **fields})


def test_the_answer_is_the_document_of_the_command(running: Running, home: Path) -> None:
    paths = sorted((home / "photos").glob("*.png"))[:5]
    answer = detect(running, *(p.read_bytes() for p in paths), names=tuple(map(str, paths)), threshold="0.5")
    assert answer.status_code == 200
    done = run(
        [
            *command(home, "--threshold", "0.5", "--format", "json")[:1],
            *map(str, paths),
            *command(home)[2:],
            "--threshold",
            "0.5",
            "--format",
            "json",
        ]
    )
    assert answer.json() == json.loads(done.stdout)
    assert len(answer.json()["images"]) == 5


def test_references_by_name_and_as_files_and_together_are_those_of_the_command(running: Running, home: Path) -> None:
    paths = sorted((home / "photos").glob("*.png"))[:2]
    contents, names = [p.read_bytes() for p in paths], tuple(map(str, paths))
    base = ["detect", *names, *command(home)[2:], "--format", "json"]
    kept = detect(running, *contents, names=names, references="photos", false_alarms="30%")
    assert kept.status_code == 200, kept.text
    expected = json.loads(run([*base, "--references", str(home / "photos"), "--false-alarms", "30%"]).stdout)
    assert kept.json() == expected
    files = images(*contents, names=names) + [("references", ("g.png", png(n), "image/png")) for n in (1, 2)]
    sent = running.client.post("/v1/detect", files=files, data={"category": "gear"})
    assert sent.status_code == 200
    assert "deviations" in sent.json()["images"][0]["descriptions"][0]
    grouped = detect(running, *contents, names=names, together="true")
    assert grouped.json() == json.loads(run([*base, "--together"]).stdout)


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({"category": "geer"}, 404, "no category 'geer' in "),
        ({"category": "gear@9"}, 404, "gear has no version 9; expected one of: 1"),
        ({"category": "../../etc"}, 422, "category '../../etc'; expected letters, digits, _ and - (at most 64)"),
        ({"category": "/etc/passwd"}, 422, "category '/etc/passwd'"),
        ({"category": "gear\x00"}, 422, "category 'gear"),
        ({"category": "gear@..%2f1"}, 422, "version '..%2f1'"),
        ({"category": ""}, 422, "category ''; expected letters"),
        ({"together": "maybe"}, 422, "together 'maybe'; expected"),
        ({"format": "exe"}, 422, "format 'exe'; expected 'json', 'png' or 'npy'"),
        ({"threshold": "nan"}, 422, "threshold"),
        ({"threshold": "high"}, 422, "threshold 'high'; expected a number"),
        ({"references": "none"}, 422, "references 'none'; expected one of: photos"),
        ({"references": "../photos"}, 422, "references '../photos'; expected one of: photos; did you mean photos?"),
        ({"false_alarms": "5%"}, 422, "false_alarms without references"),
        ({"references": "photos", "false_alarms": "0.01%"}, 422, ""),
        ({"version": "1", "category": "gear@1"}, 422, "version '1' with category 'gear@1'; expected one version"),
        ({"imges": "x"}, 422, "field 'imges'; expected one of: "),
        ({"images": "http://127.0.0.1/x.png"}, 422, "field 'images'"),
        ({"url": "file:///etc/passwd"}, 422, "field 'url'"),
    ],
)
def test_wrong_requests_are_answered_in_one_line(
    running: Running, fields: dict[str, str], status: int, detail: str
) -> None:
    answer = detect(running, png(), **fields)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["detail"].startswith(detail), body
    assert "\n" not in body["detail"]


def test_what_is_no_multipart_or_holds_no_picture_is_refused(running: Running) -> None:
    answer = running.client.post("/v1/detect", json={"images": ["http://127.0.0.1:1/x.png"]})
    assert answer.status_code == 422
    assert "expected multipart/form-data" in answer.json()["detail"]
    answer = running.client.post("/v1/detect", data={"category": "gear"}, files={"references": ("a.png", png())})
    assert answer.json()["detail"] == "no pictures; expected at least one in the field images"
    answer = running.client.post("/v1/detect", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_no_address_is_ever_fetched(running: Running) -> None:
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.setblocking(False)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/x.png"
        detect(running, png(), names=(url,))
        detect(running, url.encode(), names=(url,))
        detect(running, png(), references=url)
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_names_of_files_are_shown_and_never_used(running: Running, tmp_path: Path) -> None:
    for name in (
        "../../escape.png",
        str(tmp_path / "absolute.png"),
        "C:\\x.png",
        "a\x1b[31mb.png",
        "x" * 1000,
        "..",
        " ",
    ):
        answer = detect(running, png(), names=(name,))
        assert answer.status_code == 200, name
        shown = answer.json()["images"][0]["path"]
        assert "\x1b" not in shown
        assert len(shown) <= 255
    assert list(tmp_path.iterdir()) == []


def test_pictures_and_maps_come_back(running: Running) -> None:
    one = detect(running, png(), format="png")
    assert one.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(one.content)).width > 400
    raw = detect(running, png(), format="npy")
    assert np.load(io.BytesIO(raw.content)).dtype == np.float16
    many = detect(running, png(), png(1), format="npy")
    assert zipfile.ZipFile(io.BytesIO(many.content)).namelist() == ["0000.npy", "0001.npy"]


def test_a_damaged_picture_fails_alone_and_odd_ones_are_answered(running: Running) -> None:
    answer = detect(running, png(), png(1)[:300], b"no picture", names=("a.png", "b.png", "c.txt"))
    assert answer.status_code == 200
    assert [each["path"] for each in answer.json()["images"]] == ["a.png"]
    assert [each["path"] for each in answer.json()["failed"]] == ["b.png", "c.txt"]
    assert "upload" not in json.dumps(answer.json()["failed"])
    answer = detect(running, b"no picture", names=("c.txt",))
    assert answer.status_code == 422
    assert answer.json()["detail"] == "c.txt is not an image; expected PNG, JPEG, TIFF, BMP or WebP"
    for mode, size in (("L", (1, 1)), ("CMYK", (20, 20)), ("I;16", (9, 9)), ("RGBA", (1, 20_000)), ("P", (5, 5))):
        stream = io.BytesIO()
        Image.new(mode, size).save(stream, "TIFF")
        assert detect(running, stream.getvalue()).status_code == 200, mode


def test_a_client_that_goes_away_frees_its_place(running: Running) -> None:
    gate = threading.Event()
    running.service.engine.call(lambda: gate.wait(30))
    try:
        request = running.client.build_request("POST", "/v1/detect", files=images(png()), data={"category": "gear"})
        body = request.read()
        with socket.create_connection(("127.0.0.1", request.url.port or 0)) as raw:
            head = f"POST /v1/detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n"
            raw.sendall(f"{head}content-type: {request.headers['content-type']}\r\n\r\n".encode() + body)
            wait_until(lambda: running.service.engine.held == 1)
        wait_until(lambda: running.service.engine.held == 0)
    finally:
        gate.set()


def test_a_full_queue_is_said_at_once(running: Running) -> None:
    gate = threading.Event()
    running.service.engine.call(lambda: gate.wait(30))
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(detect(running, *(png(n) for n in range(8)))))
    try:
        first.start()
        wait_until(lambda: running.service.engine.held == 8)
        refused = detect(running, png())
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert running.client.get("/healthz").status_code == 200
    finally:
        gate.set()
    first.join(60)
    assert answers[0].status_code == 200


def batches(running: Running, bound: str) -> int:
    """Batches of at most so many pictures until now."""
    text = running.client.get("/metrics").text
    (count,) = re.findall(rf'filo_forge_batch_size_bucket{{le="{re.escape(bound)}"}} (\S+)', text)
    return int(float(count))


def test_pictures_of_clients_that_ask_at_once_share_a_batch_and_keep_their_scores(running: Running) -> None:
    alone = [detect(running, png(seed)).json()["images"][0]["score"] for seed in range(4)]
    gate, before = threading.Event(), (batches(running, "1.0"), batches(running, "4.0"))
    running.service.engine.call(lambda: gate.wait(30))
    answers: dict[int, float] = {}

    def ask(seed: int) -> None:
        with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client:
            sent = client.post("/v1/detect", files=images(png(seed)), data={"category": "gear"})
            answers[seed] = sent.json()["images"][0]["score"]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: running.service.engine.held == 4)
    finally:
        gate.set()
    for thread in threads:
        thread.join(60)
    assert (batches(running, "1.0"), batches(running, "4.0")) == (before[0], before[1] + 1)
    assert [answers[seed] for seed in range(4)] == pytest.approx(alone, abs=1e-6)


@pytest.mark.slow
def test_health_answers_while_a_large_upload_comes_in_and_the_model_works(running: Running) -> None:
    gate = threading.Event()
    running.service.engine.call(lambda: gate.wait(60))
    size, sent = 200 * 2**20, threading.Event()

    def upload() -> None:
        with socket.create_connection(("127.0.0.1", int(running.url.rsplit(":", 1)[1]))) as raw:
            raw.sendall(
                b"POST /v1/detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data; boundary=x\r\n"
                + f"content-length: {size}\r\n\r\n".encode()
                + b'--x\r\ncontent-disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
            )
            block = b"\0" * 2**20
            for _ in range(199):
                raw.sendall(block)
            sent.set()

    thread = threading.Thread(target=upload)
    thread.start()
    try:
        answered = 0
        while not sent.is_set():
            assert running.client.get("/healthz").json()["status"] == "alive"
            answered += 1
        assert answered > 3
    finally:
        gate.set()
    thread.join(60)


def test_a_batch_is_a_job_with_progress(running: Running) -> None:
    contents = [png(number) for number in range(12)]
    started = running.client.post("/v1/detect/batch", files=images(*contents, b"bad"), data={"category": "gear"})
    assert started.status_code == 202, started.text
    place = started.headers["location"]
    with running.client.stream("GET", f"{place}/events") as stream:
        states = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert states[-1] == {"id": started.json()["id"], "state": "done", "done": 13, "failed": 1, "total": 13}
    counts = [state["done"] for state in states]
    assert counts == sorted(counts)
    document = running.client.get(f"{place}/result").json()
    assert [each["path"] for each in document["images"]] == [f"{number}.png" for number in range(12)]
    single = detect(running, *contents[:3]).json()
    assert [each["score"] for each in document["images"][:3]] == [each["score"] for each in single["images"]]


def test_a_job_can_be_cancelled(running: Running) -> None:
    gate = threading.Event()
    running.service.engine.call(lambda: gate.wait(30))
    try:
        files = images(*(png(number) for number in range(12)))
        place = running.client.post("/v1/detect/batch", files=files, data={"category": "gear"}).headers["location"]
        assert running.client.get(f"{place}/result").status_code == 409
        running.client.delete(place)
        wait_until(lambda: running.client.get(place).json()["state"] == "cancelled")
        wait_until(lambda: running.service.engine.held == 0)
    finally:
        gate.set()
    assert running.client.get("/v1/detect/batch/none").status_code == 404


def test_the_library_is_listed_read_and_added_to(running: Running, home: Path) -> None:
    assert running.client.get("/v1/descriptions").json()["categories"][0]["category"] == "gear"
    one = running.client.get("/v1/descriptions/gear/1").json()
    assert [entry["id"] for entry in one["anomalies"]] == ["tooth", "rust"]
    assert {each["rule"] for each in one["lint"]} >= {"count"}
    assert running.client.get("/v1/descriptions/gear/latest").json() == one
    new = {"parent": 1, "reviewer": "Grace", "anomalies": [*one["anomalies"], {"id": "chip", "text": "chipped edge"}]}
    dry = running.client.post("/v1/descriptions/gear?dry_run=true", json=new)
    assert dry.status_code == 200
    assert running.client.get("/v1/descriptions/gear").json()["versions"] == [1]
    made = running.client.post("/v1/descriptions/gear", json=new)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == "/v1/descriptions/gear/2"
    assert made.json()["newer_than_parent"] == []
    text = (home / "library" / "gear" / "v2.yaml").read_text()
    assert "parent: 1" in text
    assert "reviewer: Grace" in text
    assert "change: 1 added" in text
    again = running.client.post("/v1/descriptions/gear", json=new)
    assert (again.json()["version"], again.json()["newer_than_parent"]) == (3, [2])


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"parent": 1, "anomalies": [{"id": "smell", "text": "foul odour"}]}, "lint finds"),
        ({"parent": 1, "anomalies": [{"id": "x", "text": ("$ % " * 45).strip()}]}, "the prompt"),
        ({"parent": 1, "anomalies": [{"id": "../x", "text": "dent"}]}, "anomalies.0.id: "),
        ({"anomalies": []}, "no object_name"),
        ({"parent": 9, "anomalies": []}, "gear has no version 9"),
        ({"parent": 1, "anomalies": [{"id": "a", "text": "x"}] * 2}, ""),
        ([], "the body: "),
    ],
)
def test_a_version_that_cannot_be_used_is_not_saved(running: Running, home: Path, body: Any, detail: str) -> None:
    before = sorted((home / "library" / "gear").iterdir())
    answer = running.client.post("/v1/descriptions/gear", json=body)
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["detail"].startswith(detail), answer.json()
    assert sorted((home / "library" / "gear").iterdir()) == before


def test_a_client_that_goes_away_in_the_middle_of_an_upload_is_no_failure(running: Running) -> None:
    head = b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    with socket.create_connection((running.client.base_url.host, running.client.base_url.port)) as connection:
        connection.sendall(head + b"Content-Length: 100000\r\n\r\n--b\r\nContent-Disposition: form-data; name=")
    counted = 'filo_forge_requests_total{route="/v1/detect",status="499"}'
    wait_until(lambda: counted in running.client.get("/metrics").text)
    text = running.client.get("/metrics").text
    assert 'status="500"' not in text
    assert "filo_forge_failures_total 0.0" in text


def test_metrics_count_routes_and_not_the_paths_that_clients_make_up(running: Running) -> None:
    running.client.get("/made/up/path")
    text = running.client.get("/metrics").text
    assert 'filo_forge_requests_total{route="/v1/detect",status="200"}' in text
    assert "made/up" not in text
    for name in (
        "stage_seconds_bucket",
        "queue_length 0.0",
        "batch_size_bucket",
        "pictures_total",
        "failures_total 0.0",
    ):
        assert f"filo_forge_{name}" in text


def test_the_schema_shows_examples(running: Running) -> None:
    schema = running.client.get("/openapi.json").json()
    detect = schema["paths"]["/v1/detect"]["post"]
    assert detect["requestBody"]["content"]["multipart/form-data"]["schema"]["required"] == ["images", "category"]
    assert detect["responses"]["200"]["content"]["application/json"]["example"]["images"]
    assert detect["responses"]["default"]["content"]["application/problem+json"]["example"]["detail"]
    models = running.client.get("/v1/models").json()
    assert models["references"] == ["photos"]
    assert models["models"][0]["loaded"]
