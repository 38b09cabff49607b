"""Errors of detector.

ForgeError
+-- DetectorError
"""

from descriptions.errors import ForgeError


class DetectorError(ForgeError):
    """Base of everything this package raises."""
