"""Where a watch tells its results besides its own folder: an address, a broker, a folder; the operator names them.

`results.jsonl` counts: a result that a sink did not take still stands there.
"""

from typing import Any, Protocol


class Sink(Protocol):
    """One place that results are told to."""

    def send(self, line: dict[str, Any]) -> None:
        """Tell one result, now or later, in order; never waits for the other side."""

    def close(self) -> None:
        """Give what waits a last chance."""
