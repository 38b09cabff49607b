"""What can go wrong in training, each as one line.

DetectorError
+-- TrainError              exit code 2: wrong use
    +-- ProtocolError       trains on what it is going to be judged on
    +-- TrainingDataError   no masks, one class only, too few images
    +-- ResumeError         the folder holds another run, or no run
    +-- InterruptedTrainingError   exit code 1: stopped half-way, the last state is on disk
"""

from typing import ClassVar

from detector.errors import DetectorError


class TrainError(DetectorError):
    """Base of everything training raises."""


class ProtocolError(TrainError):
    """Training and evaluation categories overlap."""


class TrainingDataError(TrainError):
    """The data cannot be trained on."""


class ResumeError(TrainError):
    """A run that cannot be continued."""


class InterruptedTrainingError(TrainError):
    """Training stopped half-way: not-a-number loss, no memory, full disk, unreadable image."""

    exit_code: ClassVar[int] = 1
