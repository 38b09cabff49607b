"""Errors of the server, and the HTTP status of every `ForgeError`.

DetectorError
+-- ServeError
    +-- BusyError       the queue is full: come back later
    +-- StoppingError   the server is going down
    +-- TooLargeError   more bytes, pixels or pictures than the server takes
    +-- RefusedError    a request without a right to what it asks for
    +-- MissingError    a job, photo or route that is not there
"""

from typing import ClassVar

from descriptions.common.errors import ForgeError, ReadOnlyLibraryError, UnknownCategoryError, UnknownVersionError
from detector.errors import DetectorError, OutputError


class ServeError(DetectorError):
    """Base of what only a server raises."""

    status: ClassVar[int] = 422


class BusyError(ServeError):
    """The queue is full."""

    status: ClassVar[int] = 503


class StoppingError(BusyError):
    """The server is going down."""


class TooLargeError(ServeError):
    """More bytes, pixels or pictures than the server takes."""

    status: ClassVar[int] = 413


class RefusedError(ServeError):
    """A request without a right to what it asks for."""

    status: ClassVar[int] = 403


class MissingError(ServeError):
    """Something that is not there."""

    status: ClassVar[int] = 404


RETRY_AFTER = 2
"""Seconds after which a client that was refused for a full queue may ask again."""

_STATUS: tuple[tuple[type[ForgeError], int], ...] = (
    (UnknownCategoryError, 404),
    (UnknownVersionError, 404),
    (ReadOnlyLibraryError, 403),
    (OutputError, 507),
)


def status_of(error: ForgeError) -> int:
    """The HTTP status of an error; what a client wrote wrongly is 422."""
    if isinstance(error, ServeError):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 422)
