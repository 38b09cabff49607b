"""The client says what the server says."""

import socket
import threading
from pathlib import Path

import pytest

from detector.client import Client, ServerError
from detector.errors import DetectorError
from tests.support.serving import Running, wait_until


@pytest.fixture
def photos(home: Path) -> list[Path]:
    return sorted((home / "photos").glob("*.png"))


def test_photos_are_scored_one_by_one_together_and_beside_references(running: Running, photos: list[Path]) -> None:
    with Client(running.url) as client:
        document = client.detect(photos[:2], "gear", threshold=0.5)
        assert [each["path"] for each in document["images"]] == [str(path) for path in photos[:2]]
        assert document["threshold"] == 0.5
        named = client.detect(photos[:1], "gear", references="photos")
        sent = client.detect(photos[:1], "gear", references=photos[2:4])
        grouped = client.detect(photos[:3], "gear", together=True)
        scores = {each["images"][0]["score"] for each in (document, named, sent, grouped)}
        assert len(scores) == 4


def test_a_batch_reports_its_progress_and_equals_single_requests(running: Running, photos: list[Path]) -> None:
    seen: list[int] = []
    with Client(running.url) as client:
        document = client.batch(photos, "gear", lambda state: seen.append(state["done"]))
        single = client.detect(photos[:3], "gear")
    assert seen[-1] == len(photos)
    assert [each["score"] for each in document["images"][:3]] == [each["score"] for each in single["images"]]


def test_the_library_and_the_model_can_be_asked_for(running: Running) -> None:
    with Client(running.url) as client:
        assert client.descriptions()["categories"][0]["category"] == "gear"
        assert client.descriptions("gear")["versions"][0] == 1
        assert client.descriptions("gear", 1)["object_name"] == "gear"
        assert client.models()["models"][0]["loaded"]


def test_refusals_are_the_sentences_of_the_server(running: Running, photos: list[Path]) -> None:
    with Client(running.url) as client:
        with pytest.raises(ServerError, match=r"no category 'gaer' in .*; did you mean gear\?") as refused:
            client.detect(photos[:1], "gaer")
        assert refused.value.status == 404
        with pytest.raises(DetectorError, match=r"missing\.png cannot be read: No such file"):
            client.detect(["missing.png"], "gear")


def test_a_full_server_is_asked_again_and_a_silent_one_is_named(running: Running, photos: list[Path]) -> None:
    gate = threading.Event()
    running.service.engine.call(lambda: gate.wait(30))
    with Client(running.url) as client, Client(running.url, patience=0) as hasty:
        first = threading.Thread(target=client.detect, args=(photos[:8], "gear"))
        first.start()
        wait_until(lambda: running.service.engine.held == 8)
        with pytest.raises(ServerError, match="the queue is full"):
            hasty.detect(photos[:1], "gear")
        threading.Timer(0.5, gate.set).start()
        assert client.detect(photos[:1], "gear")["images"]
        first.join(60)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with Client(url) as client, pytest.raises(ServerError, match=r"no answer from .*; is detector serve running\?"):
        client.models()
