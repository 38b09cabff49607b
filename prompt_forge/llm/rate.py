"""Requests per minute."""

import threading
import time
from collections.abc import Callable


class RateLimit:
    """Spaces calls evenly over the minute, over all threads.

    Args:
        per_minute: calls allowed; None for no limit.
        clock: monotonic seconds.
        sleep: waits.
    """

    def __init__(
        self,
        per_minute: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = 0.0

    def __call__(self) -> None:
        """Return when the next call may be made."""
        if not self._gap:
            return
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)
