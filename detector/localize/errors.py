"""Errors of the localizers.

DetectorError
+-- LocalizerError
    +-- GroundingWeightsError    a checkpoint that is missing, damaged or of another model
    +-- VocabularyError          no BERT vocabulary where one was named
"""

from detector.errors import DetectorError


class LocalizerError(DetectorError):
    """Base of what localizers raise."""


class GroundingWeightsError(LocalizerError):
    """A Grounding DINO checkpoint that cannot be used."""


class VocabularyError(LocalizerError):
    """The tokenizer of the grounding model cannot be built."""
