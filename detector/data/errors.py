"""Errors of reading data sets.

DetectorError
+-- DataError           a folder or table that cannot be read as a data set

One picture that cannot be read is an `ImageError` of `detector.images`, as everywhere.
"""

from detector.errors import DetectorError


class DataError(DetectorError):
    """A folder or table that cannot be read as a data set."""
