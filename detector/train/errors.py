"""What can go wrong in training, each as one line.

DetectorError
+-- TrainError              exit code 2: wrong use
    +-- ResumeError         the folder holds another run, or no run
    +-- InterruptedTrainingError   exit code 1: stopped half-way, the last state is on disk

Data that cannot be trained on is a `TrainingDataError` or a `ProtocolError` of `detector.data.errors`.
"""

from typing import ClassVar

from detector.errors import DetectorError


class TrainError(DetectorError):
    """Base of everything training raises."""


class ResumeError(TrainError):
    """A run that cannot be continued."""


class InterruptedTrainingError(TrainError):
    """Training stopped half-way: not-a-number loss, no memory, full disk, unreadable image."""

    exit_code: ClassVar[int] = 1
