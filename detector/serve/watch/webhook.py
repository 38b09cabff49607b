"""Results sent to an address that the operator chose: signed, retried, never more waiting than memory bears.

    X-Filo-Forge-Signature: sha256=<HMAC of the body with the key>
    X-Filo-Forge-Delivery:  the same for every try of one result

A result that was not delivered is still in `results.jsonl`: that file counts, the webhook only tells.
"""

import hashlib
import hmac
import json
import queue
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from descriptions.common.extras import require
from descriptions.common.files import read_text
from detector import console
from detector.serve.errors import ServeError

WAITING = 1000
"""Results that wait at most; the oldest give way, and are counted."""
TRIES = 6
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries; doubled each time."""
LAST = 10.0
"""Seconds that what still waits gets at the end."""


class Webhook:
    """One address.

    Args:
        url: http or https.
        key: that bodies are signed with.
    """

    def __init__(self, url: str, key: bytes) -> None:
        require("--webhook", "httpx")
        import httpx

        self.url, self.key, self.lost = url, key, 0
        self.shown = urlsplit(url)._replace(netloc=urlsplit(url).hostname or "", query="").geturl()
        """Without a name, password or query that stands in it."""
        self._http = httpx.Client(timeout=10, follow_redirects=False)
        self._waiting: queue.Queue[tuple[str, bytes] | None] = queue.Queue(WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="webhook", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, url: str | None, secret: Path | None) -> "Webhook | None":
        """The webhook of the command line; None where none is asked for.

        Raises:
            ServeError: no address, or no key to sign with.
        """
        if url is None:
            return None
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ServeError(f"--webhook {url[:120]!r}", expected="an address such as https://plant.example/results")
        if secret is None:
            raise ServeError("--webhook without --webhook-secret", expected="a file with the key to sign results with")
        try:
            key = read_text(secret).strip().encode()
        except (OSError, UnicodeDecodeError) as error:
            raise ServeError(f"--webhook-secret {secret} cannot be read", expected="a file with one key") from error
        if len(key) < 16:
            raise ServeError(f"the key of {secret} is too short", expected="at least 16 characters")
        return cls(url, key)

    def send(self, line: dict[str, Any]) -> None:
        """Deliver one result later, in order."""
        item = uuid.uuid4().hex, json.dumps(line).encode()
        while self._waiting.full():
            self._lose()
        self._waiting.put_nowait(item)  # nobody else puts

    def close(self) -> None:
        """Give what waits a last chance."""
        self._closing.set()
        try:
            self._waiting.put(None, timeout=LAST)
        except queue.Full:
            self._lose()
            self._waiting.put_nowait(None)
        self._thread.join(2 * LAST)
        self._http.close()
        if self.lost:
            console.warn(f"{self.lost} results were not delivered to {self.shown}; they stand in the results file")

    def _lose(self) -> None:
        try:
            self._waiting.get_nowait()
            self.lost += 1
        except queue.Empty:
            pass

    def _deliver(self) -> None:
        while (item := self._waiting.get()) is not None:
            if not self._delivered(*item):
                self.lost += 1

    def _delivered(self, name: str, body: bytes) -> bool:
        import httpx

        signature = "sha256=" + hmac.new(self.key, body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Filo-Forge-Signature": signature,
            "X-Filo-Forge-Delivery": name,
        }
        pause, ended = FIRST_PAUSE, time.monotonic() + LAST
        for _ in range(TRIES):
            try:
                if self._http.post(self.url, content=body, headers=headers).is_success:
                    return True
            except httpx.HTTPError:
                pass
            if self._closing.is_set() and time.monotonic() > ended:
                return False
            self._closing.wait(pause) if not self._closing.is_set() else time.sleep(FIRST_PAUSE)
            pause = min(2 * pause, LONGEST_PAUSE)
        return False
