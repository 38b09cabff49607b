"""When to try again, and how long to wait first."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from openai import APIConnectionError, APIStatusError, OpenAIError

T = TypeVar("T")

_PASSING = frozenset({408, 409, 429})
"""Statuses below 500 that may pass by themselves."""

_NEVER = frozenset({"insufficient_quota"})
"""Error codes of a 429 that waiting does not cure."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential waits with jitter, overruled by what the server asks for."""

    retries: int = 3
    """Tries after the first."""
    base_seconds: float = 0.5
    """First wait; each later one is twice as long."""
    longest_seconds: float = 60.0
    """A server that asks for a longer wait is given up on."""
    sleep: Callable[[float], None] = time.sleep
    """Waits."""

    def run(self, call: Callable[[], T], retryable: Callable[[OpenAIError], bool]) -> T:
        """`call()`, again while it fails in a way that `retryable` accepts.

        Raises:
            openai.OpenAIError: the failure of the last try.
        """
        for attempt in range(self.retries):
            try:
                return call()
            except OpenAIError as error:
                wait = self._wait(error, attempt)
                if not retryable(error) or wait > self.longest_seconds:
                    raise
            self.sleep(wait)
        return call()

    def _wait(self, error: OpenAIError, attempt: int) -> float:
        delay = retry_after(error)
        if delay is not None:
            return delay
        return min(self.base_seconds * 2.0**attempt, self.longest_seconds) * random.uniform(0.75, 1.0)


def passing(error: OpenAIError) -> bool:
    """Whether the failure may pass by itself: 408, 409, 429, 5xx or a broken connection."""
    if isinstance(error, APIStatusError):
        return (error.status_code in _PASSING or error.status_code >= 500) and error.code not in _NEVER
    return isinstance(error, APIConnectionError)


def retry_after(error: OpenAIError) -> float | None:
    """Seconds the server asked to wait (`Retry-After`: seconds or an HTTP date), or None."""
    if not isinstance(error, APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
