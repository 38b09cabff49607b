"""Errors of prompt_forge.

ForgeError
+-- PromptForgeError
    +-- CacheError                  the cache of answers cannot be used
    +-- TemplateError               templates: missing, broken, or asks for what nobody knows
    +-- EditError                   editing: what was edited is no valid description, or cannot be saved
    +-- ScoresError                 scores: contributions missing, damaged, or about another version
    +-- ImportFiLoError             filo_import: the dictionary that was asked for is not there
    +-- MeasureError                measuring: the detector refused, or ended without an answer
    +-- ModelError                  no whole, acceptable answer came from the language model
        +-- EndpointError           the server refused, failed or was not there
        |   +-- AuthenticationError the key is missing or wrong
        |   +-- ContextTooLongError the prompt does not fit the model's context
        +-- IncompleteError         the answer was cut short, refused, filtered or empty; never parsed
        |   +-- ThinkingLimitError  thoughts used up the token limit before the answer was whole
        +-- RejectedAnswerError     the answer broke the rules, also after being asked again
        +-- OfflineError            `--offline`, and the answer is not in the cache
        +-- BudgetError             the next call could exceed `--max-tokens-total` or `--max-cost`
        +-- LocalModelError         a piece of the embedded model is missing or damaged
        +-- RecordingError          `replay` or `scripted` has no answer for this request

An error that one module alone raises is defined there; the module stands before the colon.
"""

from descriptions.common.errors import ForgeError
from prompt_forge.usage import Usage


class PromptForgeError(ForgeError):
    """Base of everything this package raises."""


class CacheError(PromptForgeError):
    """The cache of answers cannot be used."""


class ModelError(PromptForgeError):
    """No whole, acceptable answer came from the language model. `usage` says what it cost all the same."""

    def __init__(self, problem: str, *, expected: str = "", hint: str = "", usage: Usage | None = None) -> None:
        super().__init__(problem, expected=expected, hint=hint)
        self.usage = usage or Usage()


class EndpointError(ModelError):
    """The server refused, failed or was not there."""

    def __init__(self, problem: str, *, expected: str = "", hint: str = "", status: int | None = None) -> None:
        super().__init__(problem, expected=expected, hint=hint)
        self.status = status


class AuthenticationError(EndpointError):
    """The key is missing or wrong."""


class ContextTooLongError(EndpointError):
    """The prompt does not fit the model's context."""


class IncompleteError(ModelError):
    """The answer was cut short, refused, filtered or empty; never parsed."""

    in_thoughts = False
    """Whether nothing but thoughts came."""


class ThinkingLimitError(IncompleteError):
    """Thoughts used up the token limit before the answer was whole; a larger limit may help."""


class RejectedAnswerError(ModelError):
    """The answer broke the rules, also after being asked again. `problems` are those of the last answer."""

    def __init__(self, problem: str, *, expected: str = "", hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(problem, expected=expected, hint=hint)
        self.problems = problems


class OfflineError(ModelError):
    """`--offline`, and the answer is not in the cache."""


class BudgetError(ModelError):
    """The next call could exceed `--max-tokens-total` or `--max-cost`."""


class LocalModelError(ModelError):
    """A piece of the embedded model is missing or damaged."""


class RecordingError(ModelError):
    """`replay` or `scripted` has no answer for this request."""
