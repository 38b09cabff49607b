"""A model that answers what it answered before: the exchange log is the recording."""

from pathlib import Path
from typing import Any

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
            self._answers = {
                key: Completion.model_validate(record["completion"]) for record in answered for key in _keys(record)
            }
            self.model: str = answered[0]["request"]["model"]
        except (IndexError, KeyError, TypeError, ValueError):
            problem = f"{path} holds no recorded answers"
            raise RecordingError(problem, expected="a log of exchanges", hint="see prompt-forge log --json") from None

    def complete(self, request: Request) -> Completion:
        """The recorded answer.

        Raises:
            RecordingError: this request was not recorded.
        """
        completion = self._answers.get(request.digest) or self._answers.get(_without_limit(request))
        if completion is None:
            problem = f"{self.endpoint} has no answer to request {request.digest[:12]}"
            raise RecordingError(problem, hint="record it again: the prompt, model or sampling changed")
        return completion.model_copy(update={"request_digest": request.digest})


def _keys(record: dict[str, Any]) -> tuple[str, str]:
    """What an answer is found by: its request, or the same with another token limit."""
    return record["digest"], _without_limit(Request.model_validate(record["request"]))


def _without_limit(request: Request) -> str:
    """The digest without the token limit, which may have grown between question and answer."""
    return request.model_copy(update={"sampling": request.sampling.model_copy(update={"max_tokens": 1})}).digest
