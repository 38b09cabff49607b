"""Errors of evaluation.

DetectorError
+-- EvaluationError     nothing to compare, or a run folder that belongs to another evaluation
"""

from detector.errors import DetectorError


class EvaluationError(DetectorError):
    """Nothing to compare, or a run folder that belongs to another evaluation."""
