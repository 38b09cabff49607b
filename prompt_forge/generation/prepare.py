"""From what the user said to a run that can start: products, templates, models."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from descriptions.common.errors import SettingsError, nearest
from prompt_forge import defaults
from prompt_forge.generation.catalog import SAVED, Product, choose, load_catalog, plain, read_products
from prompt_forge.generation.generate import Asker
from prompt_forge.generation.strategies import Recipe, Strategy, first_requests, unsolved
from prompt_forge.llm.address import trimmed
from prompt_forge.llm.budget import estimate
from prompt_forge.llm.open import Resources, create_model, resources
from prompt_forge.llm.settings import EMBEDDED, REPLAY, ModelSettings
from prompt_forge.templating.template import Template
from prompt_forge.templating.templates import Templates
from prompt_forge.usage import Usage

_BY_STRATEGY = {"structured": "structured", "family": "family-fewshot"}


class GenerateSettings(BaseModel):
    """Table `[generate]` of `filo-forge.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str | None = None
    """Template id; by default the one that suits the model."""
    strategy: Strategy = "auto"
    """`structured`: one JSON answer; `family`: phrase by phrase; `auto`: by the template, or by the model."""
    count: Annotated[int, Field(ge=1, le=100)] = defaults.COUNT
    """Entries wanted for each product."""
    seed: Annotated[int, Field(ge=0)] = defaults.SEED
    """Same seed, same model, same machine, same file."""
    temperature: Annotated[float, Field(ge=0, le=2)] = defaults.TEMPERATURE
    """0 takes the most likely words."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = defaults.CONCURRENCY
    """Products asked for at the same time; the embedded model takes one at a time."""


class Wanted(NamedTuple):
    """Which products, as the user said it."""

    categories: Sequence[str] = ()
    every: bool = False
    file: Path | None = None
    object_name: str | None = None
    parts: Sequence[str] = ()
    families: Sequence[str] = ()


def pick_products(wanted: Wanted) -> list[Product]:
    """The products, each once, in the order they were named.

    Raises:
        SettingsError: none is named, or hints for one product are given with several.
        descriptions.errors.BadReferenceError: a name that cannot be a folder.
    """
    known = load_catalog()
    listed = {name: _as_said(one) for name, one in read_products(wanted.file).items()} if wanted.file else {}
    known |= {name: product for name, product in listed.items() if product.parts or name not in known}
    names = list(dict.fromkeys([*wanted.categories, *listed, *(known if wanted.every else ())]))
    if not names:
        raise SettingsError("no category given", hint="type --category NAME, --all or --from-file FILE")
    if len(names) > 1 and (wanted.object_name or wanted.parts):
        problem = f"--object-name or --parts with {len(names)} categories"
        raise SettingsError(problem, expected="one category", hint="write them into a file for --from-file")
    hints: dict[str, Any] = {"object_name": wanted.object_name, "parts": wanted.parts, "families": wanted.families}
    return [choose(known, name, **hints) for name in names]


def _as_said(listed: Product) -> Product:
    """A product of the user's own file: whatever is more there than the bare name was said by the user."""
    bare = plain(listed.category)
    return listed.saying(name for name in SAVED if getattr(listed, name) != getattr(bare, name))


def remarks(products: Sequence[Product]) -> Iterator[str]:
    """One line for each product of which only the name is known: the answer will be general."""
    known = list(load_catalog())
    for product in products:
        if not product.parts:
            hint = nearest(product.category, known) or "name its parts with --parts a,b"
            yield f"{product.category}: not in the catalog, so its parts and kinds of defect are guessed; {hint}"


def check_products(askers: Sequence[Asker], products: Sequence[Product]) -> list[str]:
    """One line for each kind of defect that a template has no examples for.

    Raises:
        SettingsError: a kind of defect that cannot be asked about.
    """
    lines = []
    for product in products:
        for _, recipe in askers:
            if recipe.template.front.answer == "phrase":
                lines += [_without_examples(recipe.template, family) for family in unsolved(recipe, product)]
    return list(dict.fromkeys(lines))


def _without_examples(template: Template, family: str) -> str:
    line = f"{family}: no examples of its own in template {template.id}, so it is asked with those of other kinds"
    hint = nearest(family, list(template.front.families))
    return f"{line}; {hint}" if hint else line


def pick_template(settings: GenerateSettings, *, embedded: bool) -> Template:
    """The template to ask with.

    Raises:
        SettingsError: template and strategy contradict each other.
        TemplateError: there is no such template, or it is broken.
    """
    strategy = settings.strategy
    if settings.template is None:
        name = _BY_STRATEGY.get(strategy) or _BY_STRATEGY["family" if embedded else "structured"]
        return Templates.find().get(name)
    template = Templates.find().get(settings.template)
    own = "family" if template.front.answer == "phrase" else "structured"
    if strategy not in {"auto", own}:
        problem = f"--strategy {strategy} with --template {template.id}"
        raise SettingsError(problem, hint=f"leave --strategy out: this template is asked the {own} way")
    return template


@contextmanager
def open_askers(
    settings: GenerateSettings,
    model: ModelSettings,
    names: Sequence[str],
    notify: Callable[[str], None],
    addresses: Sequence[str] = (),
) -> Iterator[list[Asker]]:
    """The models, ready to be asked, and closed at the end.

    Args:
        settings: how to ask.
        model: whom to ask; `names` go first.
        names: of the models of an ensemble; empty for the configured one.
        notify: shows one line to the user.
        addresses: of the models, in their order; one serves all, none leaves the configured one.

    Raises:
        SettingsError: the addresses do not fit the models.
    """
    models = _each(model, names, addresses)
    with resources(model) as shared:
        yield [_asker(settings, one, shared, notify) for one in models]


def _each(model: ModelSettings, names: Sequence[str], addresses: Sequence[str]) -> list[ModelSettings]:
    """The settings of every model that is asked, each pair of name and address once.

    Raises:
        SettingsError: the addresses do not fit the models.
    """
    urls = [trimmed(url) for url in addresses]
    if len(urls) < 2:
        pairs: list[tuple[str, str | None]] = [(name, model.base_url) for name in names]
    elif len(urls) == len(names):
        pairs = list(zip(names, urls, strict=True))
    else:
        remote = [name for name in names if name != EMBEDDED and not name.startswith(REPLAY)]
        if len(urls) != len(remote):
            problem = f"{len(urls)} --base-url for {len(names)} --model"
            hint = "type one --base-url for all of them, or one after each --model"
            raise SettingsError(problem, expected="as many of the one as of the other", hint=hint)
        remaining = iter(urls)
        pairs = [(name, next(remaining) if name in remote else None) for name in names]
    return [
        model.model_copy(update={"model": name.strip(), "base_url": url}) for name, url in dict.fromkeys(pairs)
    ] or [model]


def _asker(settings: GenerateSettings, model: ModelSettings, shared: Resources, notify: Callable[[str], None]) -> Asker:
    recipe = Recipe(
        template=pick_template(settings, embedded=model.embedded),
        count=settings.count,
        temperature=settings.temperature,
        seed=settings.seed,
        max_tokens=model.max_tokens,
    )
    return Asker(create_model(model, shared, notify=notify), recipe)


class Preview(BaseModel):
    """What would be asked for one product."""

    category: str
    model: str
    template: str
    requests: int
    """Asked in any case; rejected phrases cost more."""
    tokens: int
    """Most that they are expected to take, answers included."""
    prompts: list[list[dict[str, str]]]


def preview(askers: Sequence[Asker], products: Sequence[Product]) -> Iterator[Preview]:
    """All prompts and a token estimate, without asking anyone."""
    for product in products:
        for model, recipe in askers:
            requests = first_requests(model.model, recipe, product)
            yield Preview(
                category=product.category,
                model=model.model,
                template=recipe.template.id,
                requests=len(requests),
                tokens=sum(map(estimate, requests), Usage()).total if requests else 0,
                prompts=[[message.model_dump() for message in request.messages] for request in requests],
            )
