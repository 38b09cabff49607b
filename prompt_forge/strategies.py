"""How a model is asked: one JSON answer, one plain list, or phrase by phrase for very small models.

The template decides (its `answer`), so a template of one's own brings its strategy along.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from descriptions.errors import SettingsError, nearest
from descriptions.words import is_near, words
from prompt_forge.catalog import DEFAULT_FAMILIES, Product
from prompt_forge.errors import IncompleteError, RejectedAnswerError
from prompt_forge.filter import Filter
from prompt_forge.llm.reask import ask
from prompt_forge.llm.types import Completion, LanguageModel, Mode, Request, Sampling, Usage
from prompt_forge.parse import Candidate, answer_schema, one_phrase, read_json, read_lines
from prompt_forge.templates import Template

Strategy = Literal["auto", "structured", "family"]
Tick = Callable[[str], None]
"""Called with the kind of defect that is about to be asked for."""

RESAMPLES = 3
"""Further draws after a rejected phrase."""
RESAMPLE_TEMPERATURE = 0.7
ROUNDS = 3
"""Times each kind of defect is asked for at most, each time about another part."""
_REASONS = 4
"""Reasons that the error of a useless answer shows."""
_PHRASE_TOKENS = 32
_ENTRY_TOKENS = 60


class Recipe(BaseModel):
    """How to ask, whatever the product."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    template: Template
    """The words of the question, and through its `answer` the strategy."""
    count: Annotated[int, Field(ge=1, le=100)] = 12
    """Entries wanted."""
    temperature: float = 0.0
    """Of the first draw."""
    seed: int = 0
    """Of the first draw; resamples count up from it."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Longest answer; None suits the count, or one phrase."""


class Outcome(NamedTuple):
    """What one model proposed for one product."""

    candidates: tuple[Candidate, ...]
    """Accepted, in the order they came."""
    rejected: tuple[tuple[str, str], ...]
    """Text and reason of the others."""
    requests: tuple[str, ...]
    """Digests of everything that was asked."""
    usage: Usage
    """Tokens of all answers, cached ones included."""
    calls: int
    """Answers that were not in the cache."""
    mode: Mode
    """Structured-output mode of the last answer."""
    left_out: tuple[str, ...] = ()
    """What the server refuses of the requests."""


class _Tally:
    """Collects completions and verdicts while a strategy runs."""

    def __init__(self, rules: Filter) -> None:
        self.rules = rules
        self.accepted: list[Candidate] = []
        self.rejected: list[tuple[str, str]] = []
        self.requests: list[str] = []
        self.usage, self.calls = Usage(), 0
        self.mode: Mode = "text"
        self.left_out: dict[str, None] = {}

    def count(self, request: Request, completion: Completion) -> None:
        """Note an answer that was paid for or found in the cache."""
        self.requests.append(completion.request_digest or request.digest)
        self.usage += completion.usage
        self.calls += not completion.cached
        self.mode = completion.mode
        self.left_out.update(dict.fromkeys(completion.left_out))

    def cut_short(self, request: Request, error: IncompleteError) -> None:
        """Note an answer that was paid for and is no answer."""
        self.requests.append(request.digest)
        self.usage += error.usage
        self.calls += 1
        self.rejected.append(("", error.came))

    def judge(self, candidate: Candidate) -> bool:
        """Accept or reject one candidate."""
        trimmed, problem = self.rules.apply(candidate)
        near = (entry.text for entry in self.accepted if is_near(trimmed.text, [entry.text]))
        if not problem and (twin := next(near, None)):
            problem = f"near-duplicate of {twin!r}"
        if problem:
            self.rejected.append((trimmed.text, problem))
        else:
            self.accepted.append(trimmed)
        return not problem

    def outcome(self, count: int) -> Outcome:
        """The sum of it."""
        over = [(entry.text, f"more than the {count} wanted") for entry in self.accepted[count:]]
        kept, refused, asked = tuple(self.accepted[:count]), (*self.rejected, *over), tuple(self.requests)
        return Outcome(kept, refused, asked, self.usage, self.calls, self.mode, tuple(self.left_out))


class Ask(NamedTuple):
    """One question of the phrase strategy."""

    family: str
    part: str
    turn: int
    """0 in the first round over the kinds of defect, then 1, 2, ..."""


def families(recipe: Recipe, product: Product) -> tuple[str, ...]:
    """The kinds of defect asked for.

    Raises:
        SettingsError: the template has no examples for one of them.
    """
    wanted = product.families or DEFAULT_FAMILIES
    known = recipe.template.front.families
    if missing := [family for family in wanted if family not in known]:
        came = f"{product.category}: template {recipe.template.id} has no examples for the family {missing[0]!r}"
        hint = nearest(missing[0], list(known)) or "name others with --families, or use --template structured"
        raise SettingsError(came, expected=f"one of: {', '.join(known)}", hint=hint)
    return wanted


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
        shown = list(dict.fromkeys(reasons))
        why = "; ".join(shown[:_REASONS]) or "empty answer"
        why += f"; and {len(shown) - _REASONS} more" if len(shown) > _REASONS else ""
        came = f"{model.model} said nothing usable about {product.object_name} ({why})"
        raise RejectedAnswerError(came, hint="try another --model, --template or --seed", problems=reasons)
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
    tally = _Tally(Filter(product))
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
    tally = _Tally(Filter(product, strict=True, foreign=_foreign(recipe.template, product)))
    for question in asks(recipe, product):
        if len(tally.accepted) >= recipe.count:
            break
        tick(question.family)
        for candidate in _draws(model, recipe, product, question, tally):
            if tally.judge(candidate):
                break
    return tally.outcome(recipe.count)


def _draws(model: LanguageModel, recipe: Recipe, product: Product, question: Ask, tally: _Tally) -> Iterator[Candidate]:
    """The greedy answer, then warmer ones, for as long as the caller rejects them."""
    for draw in range(1 + RESAMPLES):
        request = _phrase_request(model.model, recipe, product, question, draw)
        try:
            completion = model.complete(request)
        except IncompleteError as error:  # it rambled; the next draw may not
            tally.cut_short(request, error)
            continue
        tally.count(request, completion)
        text = one_phrase(completion.text)
        part = question.part if question.part in text else None
        yield Candidate(text, question.family, part, completion.mean_logprob)


def _foreign(template: Template, product: Product) -> frozenset[str]:
    """Nouns of the examples: their products and parts, less the neutral ones that any product has."""
    shown = [f"{one.object_name} {one.part or ''}" for examples in template.front.families.values() for one in examples]
    return (
        frozenset(words(" ".join(shown))) - {"surface", "edge", "rim", "seam", "face"} - set(words(product.object_name))
    )
