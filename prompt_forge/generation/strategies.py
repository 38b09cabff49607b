"""How a model is asked: one JSON answer, one plain list, or phrase by phrase for very small models.

The template decides (its `answer`), so a custom template selects its own strategy.
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from descriptions.common.errors import SettingsError
from descriptions.common.words import words
from prompt_forge import defaults
from prompt_forge.errors import IncompleteError, OfflineError, RecordingError, RejectedAnswerError
from prompt_forge.generation.catalog import DEFAULT_FAMILIES, Product
from prompt_forge.generation.filter import Filter, copied_example
from prompt_forge.generation.parse import Candidate, answer_schema, one_phrase, read_json, read_lines
from prompt_forge.generation.specific import specificity
from prompt_forge.generation.tally import Outcome, Tally
from prompt_forge.llm.reask import ask
from prompt_forge.llm.types import LanguageModel, Request, Sampling
from prompt_forge.templating.template import Template

Strategy = Literal["auto", "structured", "family"]
Tick = Callable[[str], None]
"""Called with the kind of defect that is about to be asked for."""

RESAMPLES = 3
"""Further draws while every phrase was rejected."""
SAMPLES = 2
"""Further draws while every accepted phrase repeats an example or says too little; the most specific one is kept.
A product gets as many of them as entries are wanted: about twice the calls of a single draw, at most."""
RESAMPLE_TEMPERATURE = 0.7
ROUNDS = 3
"""Times each kind of defect is asked for at most, each time about another part."""
_BEST = 3
"""Worth of a phrase that names the part, says a look, and copies nothing."""
_REASONS = 4
"""Reasons that the error of a useless answer shows."""
_PHRASE_TOKENS = 32
_ENTRY_TOKENS = 60


class Recipe(BaseModel):
    """How to ask, whatever the product."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    template: Template
    """The words of the question, and through its `answer` the strategy."""
    count: Annotated[int, Field(ge=1, le=100)] = defaults.COUNT
    """Entries wanted."""
    temperature: float = defaults.TEMPERATURE
    """Of the first draw."""
    seed: int = defaults.SEED
    """Of the first draw; resamples count up from it."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Longest answer; None suits the count, or one phrase."""


class Ask(NamedTuple):
    """One question of the phrase strategy."""

    family: str
    part: str
    turn: int
    """0 in the first round over the kinds of defect, then 1, 2, ..."""


def families(recipe: Recipe, product: Product) -> tuple[str, ...]:
    """The kinds of defect asked for.

    Raises:
        SettingsError: one of them is no word that can be asked about.
    """
    wanted = product.families or DEFAULT_FAMILIES
    if wordless := next((family for family in wanted if not words(family)), None):
        problem = f"{product.category}: the kind of defect {wordless!r}"
        hint = f"such as those of template {recipe.template.id}: {', '.join(recipe.template.front.families)}"
        raise SettingsError(problem, expected="English words", hint=hint)
    return wanted


def unsolved(recipe: Recipe, product: Product) -> tuple[str, ...]:
    """The kinds of defect that the template has no examples for: asked with examples of other kinds."""
    return tuple(family for family in families(recipe, product) if family not in recipe.template.front.families)


def asks(recipe: Recipe, product: Product) -> list[Ask]:
    """All questions of the phrase strategy, in order: every kind of defect about one part, then about the next part."""
    questions = []
    wanted = families(recipe, product)
    for turn in range(ROUNDS):
        for place, family in enumerate(wanted):
            parts = product.targets(family)
            if turn < len(parts):
                questions.append(Ask(family, parts[(place + turn) % len(parts)], turn))
    return questions


def first_requests(model: str, recipe: Recipe, product: Product) -> list[Request]:
    """What is asked in any case: shown by a dry run, and the sign that a saved version came from the same recipe."""
    if recipe.template.front.answer == "phrase":
        certain = [question for question in asks(recipe, product) if question.turn == 0]
        return [_phrase_request(model, recipe, product, question) for question in certain[: recipe.count]]
    return [_whole_request(model, recipe, product)]


def propose(model: LanguageModel, recipe: Recipe, product: Product, tick: Tick) -> Outcome:
    """Ask one model for the anomalies of one product.

    Raises:
        prompt_forge.errors.ModelError: no whole answer came, or nothing in it was usable.
    """
    strategy = _phrases if recipe.template.front.answer == "phrase" else _whole
    outcome = strategy(model, recipe, product, tick)
    if not outcome.candidates:
        reasons = tuple(f"{text}: {reason}" if text else reason for text, reason in outcome.rejected)
        distinct = list(dict.fromkeys(reasons))
        why = "; ".join(distinct[:_REASONS]) or "empty answer"
        why += f"; and {len(distinct) - _REASONS} more" if len(distinct) > _REASONS else ""
        problem = f"{model.model} said nothing usable about {product.object_name} ({why})"
        raise RejectedAnswerError(problem, hint="try another --model, --template or --seed", problems=reasons)
    return outcome


def _whole_request(model: str, recipe: Recipe, product: Product) -> Request:
    variables = {
        "object_name": product.object_name,
        "parts": list(product.parts),
        "families": list(product.families),
        "normal": [state.replace("{}", product.object_name) for state in product.normal],
        "count": recipe.count,
    }
    as_json = recipe.template.front.answer == "json"
    limit = recipe.max_tokens or 200 + _ENTRY_TOKENS * recipe.count
    return Request(
        model=model,
        messages=recipe.template.messages(variables),
        sampling=Sampling(temperature=recipe.temperature, max_tokens=limit, seed=recipe.seed),
        json_schema=answer_schema(recipe.count) if as_json else None,
        schema_name="anomalies",
        template_sha256=recipe.template.sha256,
    )


def _whole(model: LanguageModel, recipe: Recipe, product: Product, tick: Tick) -> Outcome:
    tick("all")
    request = _whole_request(model.model, recipe, product)
    answer = ask(model, request, read_json if recipe.template.front.answer == "json" else read_lines)
    tally = Tally(Filter(product))
    for completion in answer.completions:
        tally.count(request, completion)
    tally.rejected.extend(answer.value.dropped)
    for candidate in answer.value.candidates:
        tally.judge(candidate)
    return tally.outcome(recipe.count)


def _phrase_request(model: str, recipe: Recipe, product: Product, question: Ask, draw: int = 0) -> Request:
    variables = {"object_name": product.object_name, "part": question.part, "family": question.family}
    limit = recipe.max_tokens or _PHRASE_TOKENS
    warmth = max(recipe.temperature, RESAMPLE_TEMPERATURE) if draw else recipe.temperature
    return Request(
        model=model,
        messages=recipe.template.few_shot(variables, rotate=question.turn),
        sampling=Sampling(temperature=warmth, max_tokens=limit, seed=recipe.seed + draw, stop=("\n",)),
        logprobs=True,
        template_sha256=recipe.template.sha256,
        sample=draw,
    )


def _phrases(model: LanguageModel, recipe: Recipe, product: Product, tick: Tick) -> Outcome:
    rules = Filter(product, strict=True, foreign=_foreign(recipe.template, product), own=unsolved(recipe, product))
    tally = Tally(rules, spare=recipe.count)
    for question in asks(recipe, product):
        if len(tally.accepted) >= recipe.count:
            break
        tick(question.family)
        if usable := _draws(model, recipe, product, question, tally):
            tally.choose(max(usable, key=lambda one: _worth(recipe.template, question, one)), usable)
    return tally.outcome(recipe.count)


def _draws(model: LanguageModel, recipe: Recipe, product: Product, question: Ask, tally: Tally) -> list[Candidate]:
    """The usable ones of the greedy answer and of warmer ones, drawn until one is specific in words of its own."""
    usable: list[Candidate] = []
    for draw in range(1 + RESAMPLES):
        if usable:
            enough = draw > SAMPLES or _worth(recipe.template, question, usable[-1])[0] == _BEST
            if enough or not tally.spare:
                break
            tally.spare -= 1
        request = _phrase_request(model.model, recipe, product, question, draw)
        try:
            completion = model.complete(request)
        except IncompleteError as error:  # it rambled; the next draw may not
            tally.cut_short(request, error)
            continue
        except (OfflineError, RecordingError):  # nobody can be asked; what was answered earlier may be enough
            if usable:
                break
            raise
        tally.count(request, completion)
        text = one_phrase(completion.text)
        part = question.part if question.part in text else None
        if one := tally.usable(Candidate(text, question.family, part, completion.mean_logprob)):
            usable.append(one)
    return usable


def _worth(template: Template, question: Ask, candidate: Candidate) -> tuple[int, int, float]:
    """What decides between usable answers to one question.

    Own words count as much as the name of the part asked about or a word for the look. Then what is specific goes
    before what is merely no copy (`thin crack in the cap` before `crack in the cap`), then what the model is surer of.
    """
    specific = specificity(candidate.text, [question.part])
    own = not copied_example(candidate.text, candidate.part, template.examples)
    sure = -math.inf if candidate.mean_logprob is None else candidate.mean_logprob
    return specific + own, specific, sure


def _foreign(template: Template, product: Product) -> frozenset[str]:
    """Nouns of the examples: their products and parts, less the neutral ones that any product has."""
    example_words = " ".join(f"{one.object_name} {one.part or ''}" for one in template.examples)
    return (
        frozenset(words(example_words)) - {"surface", "edge", "rim", "seam", "face"} - set(words(product.object_name))
    )
