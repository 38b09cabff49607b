"""A rejected answer is asked for again, with the reasons, a bounded number of times."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from prompt_forge.errors import RejectedAnswerError
from prompt_forge.llm.thinking import without_thinking
from prompt_forge.llm.types import Completion, LanguageModel, Message, Request
from prompt_forge.usage import Usage

T = TypeVar("T")

_MOST_PROBLEMS = 8
"""Reasons given back; a small model gains nothing from more."""


@dataclass(frozen=True)
class Accepted(Generic[T]):
    """An answer that passed, and every try it took."""

    value: T
    """What the validation made of it."""
    completions: tuple[Completion, ...]
    """All tries; the last one is the accepted one."""

    @property
    def usage(self) -> Usage:
        """Tokens of all tries."""
        return sum((completion.usage for completion in self.completions), Usage())


def ask(model: LanguageModel, request: Request, validate: Callable[[str], T], *, tries: int = 3) -> Accepted[T]:
    """Ask until `validate` accepts.

    Args:
        model: who is asked.
        request: the first question.
        validate: turns the text into a value; raises ValueError (pydantic's included) to reject it.
        tries: questions at most.

    Raises:
        RejectedAnswerError: the last answer was rejected as well.
        ModelError: no whole answer came; that is not asked again.
    """
    completions: list[Completion] = []
    problems: tuple[str, ...] = ()
    question = request
    for _ in range(tries):
        completions.append(model.complete(question))
        try:
            return Accepted(validate(completions[-1].text), tuple(completions))
        except ValueError as error:
            problems = problems_of(error)
        question = _again(request, completions[-1].text, problems)
    problem = (
        f"{request.model} answered {tries} times against the rules ({problems[0]})" if problems else "no try allowed"
    )
    raise RejectedAnswerError(problem, hint="see prompt-forge log, or try another --model", problems=problems)


def problems_of(error: ValueError) -> tuple[str, ...]:
    """The reasons in `error`, one per line, with the field each is about."""
    if not isinstance(error, ValidationError):
        return (" ".join(str(error).split()) or type(error).__name__,)
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return tuple(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in problems)


def _again(request: Request, answer: str, problems: tuple[str, ...]) -> Request:
    reasons = "\n".join(f"- {problem}" for problem in problems[:_MOST_PROBLEMS])
    turn = f"That answer was not accepted:\n{reasons}\nAnswer the question again, whole, without these mistakes."
    more = (
        Message(role="assistant", content=without_thinking(answer) or "(no answer)"),
        Message(role="user", content=turn),
    )
    return request.model_copy(update={"messages": request.messages + more})
