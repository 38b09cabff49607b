"""A model that answers what it answered before: the exchange log is the recording."""

from pathlib import Path

from prompt_forge.errors import RecordingError
from prompt_forge.llm.log import read_log
from prompt_forge.llm.types import Completion, Request


class Replay:
    """Answers by request digest from a log written by `ExchangeLog`.

    Raises:
        RecordingError: the file holds no answer.
    """

    def __init__(self, path: Path) -> None:
        self.endpoint = f"replay:{path.name}"
        """Names the recording."""
        answered = [record for record in read_log(path).records if "completion" in record]
        try:
            self._answers = {record["digest"]: Completion.model_validate(record["completion"]) for record in answered}
            self.model: str = answered[0]["request"]["model"]
        except (IndexError, KeyError, TypeError, ValueError):
            came = f"{path} holds no recorded answers"
            raise RecordingError(came, expected="a log of exchanges", hint="see prompt-forge log --json") from None

    def complete(self, request: Request) -> Completion:
        """The recorded answer.

        Raises:
            RecordingError: this request was not recorded.
        """
        if request.digest not in self._answers:
            came = f"{self.endpoint} has no answer to request {request.digest[:12]}"
            raise RecordingError(came, hint="record it again: the prompt, model or sampling changed")
        return self._answers[request.digest]
