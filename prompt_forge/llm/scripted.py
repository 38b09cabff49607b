"""A model that answers from a list: for tests, and for trying a template without any model."""

import threading
from collections.abc import Iterable

from prompt_forge.errors import ModelError, RecordingError
from prompt_forge.llm.types import Completion, Request
from prompt_forge.usage import Usage


class Scripted:
    """Gives `answers` in order, whatever is asked; an error in the list is raised instead.

    `requests` holds what was asked. Tokens are counted as words.
    """

    endpoint = "scripted"
    """Where its answers come from."""

    def __init__(self, answers: Iterable[str | ModelError], model: str = "scripted") -> None:
        self._answers = iter(answers)
        self._lock = threading.Lock()
        self.model = model
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Completion:
        """The next answer.

        Raises:
            RecordingError: the list is used up.
        """
        with self._lock:
            self.requests.append(request)
            answer = next(self._answers, None)
        if answer is None:
            raise RecordingError(f"request {len(self.requests)} came", expected=f"{len(self.requests) - 1} at most")
        if isinstance(answer, ModelError):
            raise answer
        tokens = sum(len(message.content.split()) for message in request.messages)
        usage = Usage(prompt_tokens=tokens, completion_tokens=len(answer.split()))
        return Completion(text=answer, model=self.model, usage=usage, request_digest=request.digest)
