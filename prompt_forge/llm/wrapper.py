"""The frame of everything that stands between a caller and a model."""

from prompt_forge.llm.types import Completion, LanguageModel, Request


class Wrapper:
    """A language model around another, whose name and address it keeps.

    Args:
        inner: the model behind.
    """

    def __init__(self, inner: LanguageModel) -> None:
        self._inner = inner

    @property
    def endpoint(self) -> str:
        """Of the model behind."""
        return self._inner.endpoint

    @property
    def model(self) -> str:
        """Of the model behind."""
        return self._inner.model

    def complete(self, request: Request) -> Completion:
        """What the model behind answers."""
        return self._inner.complete(request)
