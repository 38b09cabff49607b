"""What a run has spent, and the point where it must stop."""

import threading
from dataclasses import dataclass

from prompt_forge.errors import BudgetError, IncompleteError, ModelError
from prompt_forge.llm.types import Completion, LanguageModel, Request
from prompt_forge.llm.wrapper import Wrapper
from prompt_forge.usage import Usage

_CHARACTERS_PER_TOKEN = 3
"""Low for English, so that estimates err on the safe side."""


def estimate(request: Request) -> Usage:
    """The most `request` is expected to cost: its text, and an answer of full length."""
    characters = sum(len(message.content) + 12 for message in request.messages)
    prompt = -(-characters // _CHARACTERS_PER_TOKEN)
    return Usage(prompt_tokens=prompt, completion_tokens=request.sampling.max_tokens)


@dataclass(frozen=True)
class Price:
    """Money per million tokens."""

    prompt: float = 0.0
    """For a million tokens read."""
    completion: float = 0.0
    """For a million tokens written."""

    def of(self, usage: Usage) -> float:
        """What `usage` costs."""
        return (usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion) / 1e6


class Budget:
    """Shared by all threads and models of a run; calls reserve their estimate, so parallel ones cannot overrun."""

    def __init__(
        self, *, max_tokens: int | None = None, max_cost: float | None = None, price: Price | None = None
    ) -> None:
        self._max_tokens, self._max_cost = max_tokens, max_cost
        self._price = price or Price()
        self._lock = threading.Lock()
        self._reserved = Usage()
        self.spent = Usage()
        """Tokens of the calls so far, failed ones included; cached ones cost nothing, uncounted ones the estimate."""
        self.calls = 0
        """Calls that brought a whole answer."""

    @property
    def cost(self) -> float:
        """Money spent so far."""
        return self._price.of(self.spent)

    def reserve(self, amount: Usage) -> None:
        """Set `amount` aside for a call.

        Raises:
            BudgetError: it could exceed a limit.
        """
        with self._lock:
            after = self.spent + self._reserved + amount
            if self._max_tokens is not None and after.total > self._max_tokens:
                problem = f"{self.spent.total} tokens are spent and the next call may take {amount.total}"
                raise BudgetError(problem, expected=f"at most {self._max_tokens}", hint="raise --max-tokens-total")
            if self._max_cost is not None and self._price.of(after) > self._max_cost:
                problem = f"{self.cost:.4f} is spent and the next call may cost {self._price.of(amount):.4f}"
                raise BudgetError(problem, expected=f"at most {self._max_cost:g}", hint="raise --max-cost")
            self._reserved = _minus(after, self.spent)

    def settle(self, amount: Usage, used: Usage, *, answered: bool) -> None:
        """Replace the reserved `amount` by what was `used`, for a call that was `answered` or failed."""
        with self._lock:
            self._reserved = _minus(self._reserved, amount)
            self.spent += used
            self.calls += answered


def _minus(left: Usage, right: Usage) -> Usage:
    """The difference, field by field."""
    return Usage(
        prompt_tokens=left.prompt_tokens - right.prompt_tokens,
        completion_tokens=left.completion_tokens - right.completion_tokens,
    )


def _counted(used: Usage, amount: Usage) -> Usage:
    """What an answer took; the estimate where the server does not count, so that limits hold there too."""
    return used if used.total else amount


class Budgeted(Wrapper):
    """Asks the budget before it asks the model."""

    def __init__(self, inner: LanguageModel, budget: Budget) -> None:
        super().__init__(inner)
        self._budget = budget

    def complete(self, request: Request) -> Completion:
        """What the model behind answers.

        Raises:
            BudgetError: the call could exceed a limit; it is not made.
        """
        amount = estimate(request)
        self._budget.reserve(amount)
        used, answered = Usage(), False
        try:
            completion = self._inner.complete(request)
            used, answered = _counted(completion.usage, amount), True
        except IncompleteError as error:  # an answer all the same, and paid for
            used = _counted(error.usage, amount)
            raise
        except ModelError as error:
            used = error.usage
            raise
        finally:
            self._budget.settle(amount, used, answered=answered)
        return completion
