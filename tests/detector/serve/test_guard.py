"""Every rule of safety, tried from outside."""

import io
import resource
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from descriptions.common.errors import SettingsError
from detector.serve.guard.access import read_token
from tests.support.detecting import command, run
from tests.support.serving import Running, images, png, serving, tiny_settings

TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def guarded(home: Path) -> Iterator[Running]:
    with serving(tiny_settings(home), token=TOKEN) as server:
        yield server


def bomb(width: int, height: int) -> bytes:
    """A small PNG that declares many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 10_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_in_constant_memory(running: Running) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = running.client.post("/v1/detect", files=images(bomb(50_000, 50_000)), data={"category": "gear"})
    assert answer.status_code == 413
    assert answer.json()["detail"] == "0.png has 50000 x 50000 pixels; expected at most 100,000,000"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB; decoded it takes 7.5 GB
    assert running.client.post("/v1/detect", files=images(png()), data={"category": "gear"}).status_code == 200


def test_no_import_changes_what_other_programs_of_the_process_may_decode() -> None:
    from detector.images.load import MAX_PIXELS

    assert MAX_PIXELS == 100_000_000
    assert Image.MAX_IMAGE_PIXELS is None  # set by detector.images alone, which checks its own limit first


def test_more_bytes_than_the_limit_are_refused_by_header_and_by_count(home: Path) -> None:
    with serving(tiny_settings(home, max_upload=300_000)) as small:
        declared = small.client.post("/v1/detect", files=images(b"x" * 400_000), data={"category": "gear"})
        assert declared.status_code == 413
        assert declared.json()["detail"] == "the request is too large; expected at most 300,000 bytes"

        def pieces() -> Iterator[bytes]:
            yield b'--x\r\ncontent-disposition: form-data; name="images"; filename="a"\r\n\r\n'
            for _ in range(10):
                yield b"x" * 50_000

        headers = {"content-type": "multipart/form-data; boundary=x"}
        chunked = small.client.post("/v1/detect", content=pieces(), headers=headers)
        assert chunked.status_code == 413
        assert small.client.post("/v1/detect", files=images(png()), data={"category": "gear"}).status_code == 200


def test_a_body_without_pictures_may_bring_a_megabyte(running: Running) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 50_000

    answer = running.client.post(
        "/v1/descriptions/gear", content=pieces(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


def test_too_many_pictures_and_fields_are_refused(running: Running) -> None:
    answer = running.client.post("/v1/detect", files=images(*[png()] * 9), data={"category": "gear"})
    assert answer.status_code == 413
    assert answer.json()["detail"] == "9 pictures in one request; expected at most 8"
    assert running.client.post("/v1/detect", files=images(*[b"x"] * 300)).status_code == 413
    many = {f"f{number}": "x" for number in range(2000)}
    assert running.client.post("/v1/detect", files=images(png()), data=many).status_code == 413
    long = running.client.post("/v1/detect", files=images(png()), data={"category": "x" * 1_000_000})
    assert long.status_code in (400, 413)


def test_formats_that_run_other_programs_are_not_opened(running: Running) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    answer = running.client.post("/v1/detect", files=images(eps), data={"category": "gear"})
    assert answer.status_code == 422
    assert "0.png is not an image" in answer.json()["detail"]


def test_a_foreign_page_may_not_write(running: Running) -> None:
    own = running.url
    for headers, status in (
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": own, "sec-fetch-site": "same-origin"}, 422),
    ):
        answer = running.client.post("/v1/descriptions/gear", json={}, headers=headers)
        assert answer.status_code == status, headers
        answer = running.client.post("/v1/detect", headers=headers)
        assert answer.status_code == status, headers


def test_a_page_cannot_be_written_to_without_its_token(running: Running) -> None:
    answer = running.client.post("/page/marks", headers={"origin": running.url})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "a request without the token of the page; reload the page"


def test_a_name_that_was_rebound_to_this_machine_is_refused(running: Running) -> None:
    for host, status in (
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:8000", 200),
        ("[::1]:8", 200),
    ):
        assert running.client.get("/v1/models", headers={"host": host}).status_code == status, host


def test_another_address_wants_a_token_with_everything(guarded: Running) -> None:
    with httpx.Client(base_url=guarded.url, trust_env=False) as stranger:
        for path in ("/", "/v1/models", "/metrics", "/openapi.json", "/v1/descriptions", "/static/page.css"):
            assert stranger.get(path).status_code == 401, path
        for wrong in ("x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é"):
            answer = stranger.get("/v1/models", headers={"authorization": f"Bearer {wrong}".encode()})
            assert answer.status_code == 401, wrong
        assert stranger.get("/v1/models?token=wrong").status_code == 401
        assert stranger.get("/v1/models", headers={"cookie": "filo_forge_token=wrong"}).status_code == 401
        assert stranger.get("/v1/models", headers={"cookie": 'a="\\'}).status_code == 401
        assert stranger.get("/healthz").status_code == 200
        answer = stranger.post("/v1/detect", files=images(png()), data={"category": "gear"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.client.get("/v1/models").status_code == 200


def test_a_browser_signs_in_once_and_the_token_leaves_the_address(guarded: Running) -> None:
    with httpx.Client(base_url=guarded.url, trust_env=False) as browser:
        answer = browser.get(f"/v1/models?token={TOKEN}&x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/v1/models?x=1")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/v1/models").status_code == 200
        assert browser.get(f"{guarded.url}//evil.example?token={TOKEN}").headers["location"].startswith("/evil.example")


def test_every_answer_carries_the_headers(running: Running) -> None:
    for path in ("/healthz", "/v1/models", "/nothing", "/openapi.json"):
        headers = running.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers


def test_paths_of_names_do_not_leave_the_library(running: Running) -> None:
    for path in ("..%2f..%2fetc", "%2e%2e", "C:", "gear%00", "gear::$DATA", "..%5c..", "x" * 300):
        for url in (f"/v1/descriptions/{path}", f"/v1/descriptions/gear/{path}", f"/v1/descriptions/{path}/1"):
            answer = running.client.get(url)
            assert answer.status_code in (404, 422), url
            assert answer.headers["content-type"] == "application/problem+json", url


def test_hostile_requests_leave_the_server_alive(running: Running) -> None:
    port = int(running.url.rsplit(":", 1)[1])
    for data in (
        b"\0\0\0\0",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(data)
            raw.settimeout(10)
            raw.recv(100)
    assert running.client.get("/openapi.json", headers={"range": "bytes=" + "0-1," * 3000}).status_code in (
        200,
        400,
        431,
    )
    assert running.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("content", ["", "short", "with blank in between it", "ünïcode-token-that-is-long"])
def test_a_token_that_anybody_could_guess_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(SettingsError, match="expected at least 16 printable characters"):
        read_token(file, {})
    file.write_text(f"{TOKEN}\n")
    assert read_token(file, {}) == TOKEN
    assert read_token(None, {"FILO_FORGE_TOKEN": TOKEN}) == TOKEN
    assert read_token(None, {}) is None
    with pytest.raises(SettingsError, match="cannot be read"):
        read_token(tmp_path / "missing", {})


def test_an_upload_larger_than_memory_wants_lies_on_disk(running: Running) -> None:
    stream = io.BytesIO()
    Image.effect_noise((2600, 2600), 90).convert("RGB").save(stream, "BMP")  # 20 MB
    answer = running.client.post("/v1/detect", files=images(stream.getvalue()), data={"category": "gear"})
    assert answer.status_code == 200


def test_the_command_refuses_what_cannot_work(home: Path) -> None:
    from descriptions.common.errors import ForgeError

    tail = command(home)[4:]
    for extra, said in (
        (["--port", "0", "--host", "no.such.host.invalid"], "expected an address of this machine"),
        (["--references", "nowhere"], "no references at nowhere"),
        (["--token-file", "nowhere"], "--token-file nowhere cannot be read"),
    ):
        with pytest.raises(ForgeError, match=said):
            run(["serve", "--no-browser", *extra, *tail])
