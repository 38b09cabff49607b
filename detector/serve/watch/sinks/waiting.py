"""Results that wait for the other side: never more than memory bears, tried again, counted when lost."""

import json
import queue
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from detector import console

WAITING = 1000
"""Results that wait at most; the oldest give way, and are counted."""
TRIES = 6
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries; doubled each time."""
LAST = 10.0
"""Seconds that what still waits gets at the end."""


class Waiting:
    """A queue of results and the thread that delivers them in order.

    Args:
        shown: where they go, for messages; without passwords.
        deliver: takes a name, the same for every try of one result, and the JSON of a result; true when it arrived.
    """

    def __init__(self, shown: str, deliver: Callable[[str, bytes], bool]) -> None:
        self.shown, self.sent, self.arrived = shown, 0, 0
        self._deliver = deliver
        self._results: queue.Queue[tuple[str, bytes] | None] = queue.Queue(WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"to {shown}", daemon=True)
        self._thread.start()

    def send(self, line: dict[str, Any]) -> None:
        """Deliver one result later, in order."""
        item = uuid.uuid4().hex, json.dumps(line).encode()
        while self._results.full():
            self._drop()
        self._results.put_nowait(item)  # nobody else puts
        self.sent += 1

    def close(self) -> None:
        """Give what waits a last chance, and say how much was lost."""
        self._closing.set()
        try:
            self._results.put(None, timeout=LAST)
        except queue.Full:
            self._drop()
            self._results.put_nowait(None)
        self._thread.join(2 * LAST)
        if lost := self.sent - self.arrived:  # given up, given way, or waiting still
            console.warn(f"{lost} results were not delivered to {self.shown}; they stand in the results file")

    def _drop(self) -> None:
        with suppress(queue.Empty):
            self._results.get_nowait()

    def _work(self) -> None:
        while (item := self._results.get()) is not None:
            self.arrived += self._delivered(*item)

    def _delivered(self, name: str, body: bytes) -> bool:
        pause, ended = FIRST_PAUSE, time.monotonic() + LAST
        for _ in range(TRIES):
            if self._deliver(name, body):
                return True
            if self._closing.is_set() and time.monotonic() > ended:
                return False
            self._closing.wait(pause) if not self._closing.is_set() else time.sleep(FIRST_PAUSE)
            pause = min(2 * pause, LONGEST_PAUSE)
        return False
