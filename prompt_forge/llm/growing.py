"""A token limit that grows once: reasoning models think before they answer, and some use the whole limit up."""

from collections.abc import Callable

from prompt_forge.errors import ModelError, ThinkingLimitError
from prompt_forge.llm.types import Completion, LanguageModel, Request
from prompt_forge.llm.wrapper import Wrapper

TIMES, AT_LEAST = 4, 8192
"""How much larger the second limit is, and the least it is, in tokens."""


def grown(limit: int) -> int:
    """The limit that follows `limit`."""
    return max(TIMES * limit, AT_LEAST)


class Growing(Wrapper):
    """Asks once more with a larger limit where thoughts used up the first, and begins with it from then on.

    The answer counts as one to the request as it was, so caches and saved versions know it again.

    Args:
        inner: asked.
        notify: shows one line to the user.
    """

    def __init__(self, inner: LanguageModel, *, notify: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(inner)
        self._notify, self._grown = notify, False

    def complete(self, request: Request) -> Completion:
        """What the model behind answers.

        Raises:
            ThinkingLimitError: the larger limit was used up as well.
        """
        if self._grown:
            return self._larger(request)
        try:
            return self._inner.complete(request)
        except ThinkingLimitError as error:
            first = error
        try:
            completion = self._larger(request)
        except ModelError as error:
            error.usage = first.usage + error.usage
            raise
        if not self._grown:
            self._grown = True
            limit = request.sampling.max_tokens
            self._notify(f"{self.model} thinks for longer than {limit} tokens: asking with {grown(limit)}")
        return completion.model_copy(update={"usage": first.usage + completion.usage})

    def _larger(self, request: Request) -> Completion:
        sampling = request.sampling.model_copy(update={"max_tokens": grown(request.sampling.max_tokens)})
        completion = self._inner.complete(request.model_copy(update={"sampling": sampling}))
        return completion.model_copy(update={"request_digest": request.digest})
