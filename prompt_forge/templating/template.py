"""One prompt template: what it says about itself, and its turns with the values of a product filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
from pydantic import BaseModel, ConfigDict, Field, model_validator

from prompt_forge.errors import PromptForgeError
from prompt_forge.llm.types import Message
from prompt_forge.templating.sandbox import ENVIRONMENT, bounded_range

NEUTRAL = 5
"""Examples that lead a question about a family that has none of its own."""

VARIABLES: Mapping[str, Any] = {
    "object_name": "metal nut",
    "normal": ["clean metal nut"],
    "part": "edge",
    "parts": ["edge", "thread"],
    "family": "crack",
    "families": ["crack", "scratch"],
    "count": 12,
}
"""Every variable a template may use, with the sample value that `templates check` renders it with."""

ID = r"[a-z0-9][a-z0-9-]{0,63}"


def reason(error: BaseException) -> str:
    """What went wrong; some exceptions do not say."""
    return str(error) or type(error).__name__


class TemplateError(PromptForgeError):
    """A template that is missing, broken, or asks for what nobody knows."""


class Example(BaseModel):
    """One solved question of a family, shown to the model before the real one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object_name: str
    """Product of the example; none that is ever asked about."""
    part: str | None = None
    """Part of it that `text` names."""
    text: str
    """The right answer; it names the product, so that the end of an answer can be told."""


class FrontMatter(BaseModel):
    """What a template says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=f"^{ID}$")]
    """Name for `--template`; the same as the file name."""
    purpose: Annotated[str, Field(min_length=1, max_length=300)]
    """One line for `templates list`."""
    answer: Literal["json", "list", "phrase"]
    """How the answer is read: JSON for many entries, one entry on each line, or one entry."""
    variables: tuple[str, ...] = ()
    """What the blocks use."""
    families: dict[str, Annotated[tuple[Example, ...], Field(min_length=1)]] = {}
    """Examples of each defect family, for `answer: phrase`."""

    @model_validator(mode="after")
    def _coherent(self) -> "FrontMatter":
        if unknown := sorted(set(self.variables) - set(VARIABLES)):
            raise ValueError(f"nobody knows the variable {unknown[0]}; there are {', '.join(VARIABLES)}")
        if (self.answer == "phrase") != bool(self.families):
            raise ValueError("`families` belongs to `answer: phrase`, and to that only")
        return self


@dataclass(frozen=True)
class Template:
    """A template that has been read and found whole."""

    front: FrontMatter
    body: str
    sha256: str
    """Hash of the whole file, front matter included."""
    layer: str
    """`built-in`, `user` or `project`."""
    path: Path

    @property
    def id(self) -> str:
        """Name for `--template`."""
        return self.front.id

    @cached_property
    def compiled(self) -> jinja2.Template:
        """The blocks as Jinja has read them."""
        return ENVIRONMENT.from_string(self.body)

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """The solved examples of all families."""
        return tuple(one for solved in self.front.families.values() for one in solved)

    def solved(self, family: str) -> list[tuple[str, Example]]:
        """The examples that lead a question about `family`, each with its own family.

        A family without examples gets those of families spread over the whole template, so that none of them leads.
        """
        known = self.front.families
        if family in known:
            return [(family, example) for example in known[family]]
        spread = list(known)[:: max(1, len(known) // NEUTRAL)][:NEUTRAL]
        return [(name, known[name][place % len(known[name])]) for place, name in enumerate(spread)]

    def turn(self, block: str, variables: Mapping[str, Any]) -> str:
        """Render one block; only the declared variables are visible to it.

        Raises:
            TemplateError: it uses an undeclared variable, does what the sandbox forbids, or fails in another way.
        """
        known = {name: variables[name] for name in self.front.variables if name in variables}
        try:
            context = self.compiled.new_context(known | {"range": bounded_range()})
            return "".join(self.compiled.blocks[block](context)).strip()
        except Exception as error:  # a template is a program: it can fail in any way
            raise TemplateError(
                f"template {self.id}: {reason(error)}", hint=f"see `prompt-forge templates check {self.path}`"
            ) from error

    def messages(self, variables: Mapping[str, Any]) -> tuple[Message, ...]:
        """The conversation: the system turn when there is one, then the question."""
        question = Message(role="user", content=self.turn("user", variables))
        return (*self._system(variables), question)

    def few_shot(self, variables: Mapping[str, Any], *, rotate: int = 0) -> tuple[Message, ...]:
        """The conversation with the solved examples for `variables["family"]` before the question.

        Args:
            variables: what is asked.
            rotate: which example comes first; models lean on the last one, so another order gives another answer.
        """
        examples = self.solved(str(variables["family"]))
        cut = rotate % len(examples)
        turns: list[Message] = []
        for family, example in examples[cut:] + examples[:cut]:
            example_variables = {
                **variables,
                "family": family,
                "object_name": example.object_name,
                "part": example.part,
            }
            turns.append(Message(role="user", content=self.turn("user", example_variables)))
            turns.append(Message(role="assistant", content=example.text))
        *system, question = self.messages(variables)
        return (*system, *turns, question)

    def _system(self, variables: Mapping[str, Any]) -> tuple[Message, ...]:
        if "system" not in self.compiled.blocks:
            return ()
        return (Message(role="system", content=self.turn("system", variables)),)
