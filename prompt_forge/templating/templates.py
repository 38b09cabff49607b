"""Prompt templates: Jinja files with a YAML front matter, in three layers of which the later one wins.

    ---
    id: structured            # also the file name
    purpose: one line
    answer: json              # json, list or phrase: how the answer is read, and so which strategy asks
    variables: [object_name]  # what the blocks use
    ---
    {% block system %}...{% endblock %}
    {% block user %}...{% endblock %}

Each block is one chat turn, so that no value inside a turn can open another turn.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
from jinja2 import meta
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from descriptions.common.errors import nearest
from descriptions.common.files import atomic_write, decode
from descriptions.format.yaml_io import parse_yaml
from prompt_forge.errors import PromptForgeError
from prompt_forge.llm.types import Message
from prompt_forge.templating.layers import Layer, layers
from prompt_forge.templating.sandbox import ENVIRONMENT, bounded_range

SUFFIX = ".j2"
NEUTRAL = 5
"""Examples that lead a question about a family that has none of its own."""
MAX_BYTES = 200_000
"""Largest template file; a prompt is a few kilobytes."""

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

_ID = r"[a-z0-9][a-z0-9-]{0,63}"
_FRONT = re.compile(r"\A\s*---[ \t]*\r?\n(?P<front>.*?)^---[ \t]*\r?\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)


def _reason(error: BaseException) -> str:
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

    id: Annotated[str, Field(pattern=f"^{_ID}$")]
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
    def _compiled(self) -> jinja2.Template:
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
            context = self._compiled.new_context(known | {"range": bounded_range()})
            return "".join(self._compiled.blocks[block](context)).strip()
        except Exception as error:  # a template is a program: it can fail in any way
            raise TemplateError(
                f"template {self.id}: {_reason(error)}", hint=f"see `prompt-forge templates check {self.path}`"
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
            asked = {**variables, "family": family, "object_name": example.object_name, "part": example.part}
            turns.append(Message(role="user", content=self.turn("user", asked)))
            turns.append(Message(role="assistant", content=example.text))
        *system, question = self.messages(variables)
        return (*system, *turns, question)

    def _system(self, variables: Mapping[str, Any]) -> tuple[Message, ...]:
        if "system" not in self._compiled.blocks:
            return ()
        return (Message(role="system", content=self.turn("system", variables)),)


def read(path: Path, layer: str = "project") -> Template:
    """Read one template file.

    Raises:
        TemplateError: it cannot be read, its front matter or its Jinja is wrong, or its blocks do not fit.
        descriptions.errors.InvalidFileError: the front matter is not plain YAML.
    """
    text = _text(path)
    match = _FRONT.match(text)
    if not match:
        raise TemplateError(
            f"{path} has no front matter",
            expected="YAML between two lines of ---",
            hint="see `prompt-forge templates show structured`",
        )
    template = Template(
        _front(path, match["front"]), match["body"], hashlib.sha256(text.encode()).hexdigest(), layer, path
    )
    if problem := _misfit(template):
        raise TemplateError(f"{path}: {problem}")
    return template


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TemplateError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise TemplateError(f"{path} has {len(data)} bytes", expected=f"at most {MAX_BYTES}")
    try:
        return decode(data)
    except UnicodeDecodeError as error:
        raise TemplateError(f"{path} is not UTF-8", hint="save it as UTF-8") from error


def _front(path: Path, text: str) -> FrontMatter:
    try:
        return FrontMatter.model_validate(parse_yaml(text.encode(), f"{path}: front matter"))
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")  # typos first
        where = ".".join(map(str, first["loc"])) or "the whole"
        wrong = str(first["loc"][-1]) if first["type"] == "extra_forbidden" else ""
        hint = nearest(wrong, [*FrontMatter.model_fields, *Example.model_fields]) if wrong else ""
        raise TemplateError(f"{path}: front matter, {where}: {first['msg']}", hint=hint) from error


def _misfit(template: Template) -> str:
    """What is wrong between front matter, file name and body; empty when nothing is."""
    if template.path.name != template.id + SUFFIX:
        return f"the id is {template.id}; name the file {template.id}{SUFFIX} or change the id"
    try:
        used = meta.find_undeclared_variables(ENVIRONMENT.parse(template.body))
        blocks = set(template._compiled.blocks)
    except jinja2.TemplateSyntaxError as error:
        return f"line {error.lineno} after the front matter: {error.message}"
    except Exception as error:  # nested too deeply for Python, for one
        return _reason(error)
    if extra := sorted(used - set(template.front.variables)):
        return f"the variable {extra[0]} is used but not in `variables`"
    if "user" not in blocks:
        return "there is no {% block user %}"
    if unknown := sorted(blocks - {"user", "system"}):
        return f"nobody asks for the block {unknown[0]}; there are system and user"
    return ""


@dataclass(frozen=True)
class Templates:
    """All templates that can be named."""

    paths: Mapping[str, tuple[str, Path]]
    """Layer and file of each id."""

    @classmethod
    def find(cls, folders: tuple[Layer, ...] | None = None) -> "Templates":
        """Look into all layers; files are read only when they are asked for."""
        paths: dict[str, tuple[str, Path]] = {}
        for layer in folders or layers():
            for path in sorted(layer.folder.glob(f"*{SUFFIX}")):
                paths[path.name.removesuffix(SUFFIX)] = (layer.name, path)
        return cls(paths)

    def get(self, name: str) -> Template:
        """The template called `name`.

        Raises:
            TemplateError: there is none, or it is broken.
        """
        if name not in self.paths:
            raise TemplateError(
                f"no template {name!r}", expected=", ".join(sorted(self.paths)), hint=nearest(name, list(self.paths))
            )
        layer, path = self.paths[name]
        return read(path, layer)

    def __iter__(self) -> Iterator[Template]:
        return (self.get(name) for name in sorted(self.paths))


def check(template: Template) -> list[Message]:
    """Render a template with sample values, as a strategy would.

    Raises:
        TemplateError: it does not render.
    """
    if not template.front.families:
        return list(template.messages(VARIABLES))
    family = next(iter(template.front.families))
    return list(template.few_shot({**VARIABLES, "family": family}))


def copy_template(like: str, name: str, folder: Path) -> Path:
    """Write a copy of the template `like` that is called `name`.

    Raises:
        TemplateError: the name is no id, `like` is unknown, or the file is there already.
    """
    if not re.fullmatch(_ID, name):
        raise TemplateError(f"template name {name!r}", expected="lower-case letters, digits and -")
    text = _text(Templates.find().get(like).path)
    path = folder / f"{name}{SUFFIX}"
    try:
        atomic_write(path, re.sub(r"(?m)^id:.*$", f"id: {name}", text, count=1), exclusive=True)
    except OSError as error:
        raise TemplateError(f"cannot write {path}: {error.strerror}", hint="choose another name or --dir") from error
    return path
