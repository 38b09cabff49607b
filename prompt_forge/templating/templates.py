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
from pathlib import Path

import jinja2
from jinja2 import meta
from pydantic import ValidationError

from descriptions.common.errors import nearest
from descriptions.common.files import atomic_write, decode
from descriptions.format.yaml_io import parse_yaml
from prompt_forge.llm.types import Message
from prompt_forge.templating.layers import Layer, layers
from prompt_forge.templating.sandbox import ENVIRONMENT
from prompt_forge.templating.template import ID, VARIABLES, Example, FrontMatter, Template, TemplateError, reason

SUFFIX = ".j2"
MAX_BYTES = 200_000
"""Largest template file; a prompt is a few kilobytes."""

_FRONT = re.compile(r"\A\s*---[ \t]*\r?\n(?P<front>.*?)^---[ \t]*\r?\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)


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
        blocks = set(template.compiled.blocks)
    except jinja2.TemplateSyntaxError as error:
        return f"line {error.lineno} after the front matter: {error.message}"
    except Exception as error:  # nested too deeply for Python, for one
        return reason(error)
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
    if not re.fullmatch(ID, name):
        raise TemplateError(f"template name {name!r}", expected="lower-case letters, digits and -")
    text = _text(Templates.find().get(like).path)
    path = folder / f"{name}{SUFFIX}"
    try:
        atomic_write(path, re.sub(r"(?m)^id:.*$", f"id: {name}", text, count=1), exclusive=True)
    except OSError as error:
        raise TemplateError(f"cannot write {path}: {error.strerror}", hint="choose another name or --dir") from error
    return path
