"""Errors of reading data sets.

DetectorError
+-- DataError               a folder or table that cannot be read as a data set
    +-- TrainingDataError   no masks, one class only, too few images
    +-- ProtocolError       trains on what it is going to be judged on

One picture that cannot be read is an `ImageError` of `detector.images.load`, as everywhere.
"""

from detector.errors import DetectorError


class DataError(DetectorError):
    """A folder or table that cannot be read as a data set."""


class TrainingDataError(DataError):
    """The data cannot be trained on."""


class ProtocolError(DataError):
    """Training and evaluation categories overlap."""
