"""Which candidates may stand in a description file, and why the others may not.

Two strengths: `visible` rules hold for every model (a detector can only use what can be seen); the `strict` ones are
for very small models, whose answers repeat, echo the question, or leave the subject.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from descriptions.common.words import GENERIC, PLACES, stem, words
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.lint import lint
from prompt_forge.generation.catalog import Product
from prompt_forge.generation.parse import Candidate
from prompt_forge.templating.template import Example

MIN_LOGPROB = -0.8
"""Answers a small model is less sure of than this (mean per token) are mostly nonsense."""
MAX_WORDS = 10
_LONGEST_WORD = 24
_BEGINNING = 4
"""Letters that words for one kind of defect share."""

_SHAPE = re.compile(r"[a-z0-9][a-z0-9 '/-]*")
_LINTED = frozenset({"not-visible", "generic", "clip-length", "separator", "names-category", "names-position", "ascii"})
"""Lint rules that reject a candidate."""
_VAGUE = GENERIC.union(
    ("missing", "part", "parts", "piece", "pieces", "product", "object", "surface", "area"),
    ("quality", "rough", "texture"),
)
"""Words that leave open what is seen; people may use them alone (`missing part`), a model has to say more."""
_VISIBLE = re.compile(
    r"crack|chip|broke|shatter|jagged|split|fractur|scratch|scuff|scrape|abras|gouge|dent|bent|bend|warp|crush|flat|twist|deform"
    r"|distort|stain|spot|patch|discolo|colour|color|fade|pale|yellow|brown|black|grey|gray|white|orange|green|dark|dust|dirt|hair"
    r"|crumb|smear|grease|greasy|residue|debris|speck|fibre|fiber|hole|pit|punctur|miss|rough|uneven|ridge|burr|flak|peel|grain"
    r"|wrinkl|cut|tear|torn|slit|rip|fray|thread|loose|tangle|burn|burnt|char|scorch|melt|sag|rust|corro|bubbl|blister|lump|bump"
    r"|swell|swollen|bulg|worn|smudg|blur|misprint|leak|cluster|gap|fold|crease"
)
_JUNK = re.compile(
    r"^(?:cracking|breaking|missing) (?:the|a)\b|\b(?:where|or|was|that|which)\b"
    r"|\b(?:stain|crack|scratch|mark|spot|dent|chip|hole|tear|burn)(?:s|es)? (?:the|a)\b"
)


def trim(text: str, product: Product) -> str:
    """`text` without the product's name at its end, and without an article at its start.

    >>> trim("a deep crack in the cap of the capsule", Product(category="capsule", object_name="capsule"))
    'deep crack in the cap'
    """
    full = product.object_name.lower()
    name = f"(?:{re.escape(full)}|{re.escape(full.split()[-1])})"
    cut = re.sub(
        rf"\s+(?:of|on|in|from|across|to|along|inside|through|around|at|off)\s+(?:the|a|an)?\s*{name}s?\b.*$", "", text
    )
    cut = re.sub(rf"^(?:the\s+|a\s+|an\s+)?{name}s?\s+(?:with|has|having)\s+", "", cut)
    cut = re.sub(rf"\bof\s+{name}s?\s+", "of the ", cut)
    return re.sub(r"^(?:a|an|the)\s+", "", cut).strip()


def copied_example(text: str, part: str | None, examples: Iterable[Example]) -> str:
    """The example whose wording `text` repeats about another part of another product; empty where it is none.

    >>> mug = Example(object_name="mug", part="wall", text="deep crack in the wall of the mug")
    >>> copied_example("deep crack in the cap", "cap", [mug])
    'deep crack in the wall of the mug'
    """

    def said(phrase: str, named: str) -> frozenset[str]:
        return frozenset(stem(word) for word in words(phrase)) - {stem(word) for word in words(named)}

    own = said(text, part or "")
    return next((one.text for one in examples if own and own == said(one.text, f"{one.object_name} {one.part}")), "")


def _alike(said: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether a word of the one begins as a word of the other does: `porous` is about `porosity`."""
    begins = {word[:_BEGINNING] for word in wanted}
    return any(word[:_BEGINNING] in begins for word in said)


@dataclass(frozen=True)
class Filter:
    """The rules for one product."""

    product: Product
    strict: bool = False
    """Apply the rules for small models as well."""
    foreign: frozenset[str] = field(default_factory=frozenset)
    """Nouns of the examples, which a small model copies."""
    own: tuple[str, ...] = ()
    """Kinds of defect without examples: an answer must name them, or it is about the kind of an example."""

    def apply(self, candidate: Candidate) -> tuple[Candidate, str]:
        """The candidate with its text trimmed, and why it is rejected (empty when it is not)."""
        text = trim(candidate.text, self.product)
        trimmed = candidate._replace(text=self._without_stranger(text) if self.strict else text)
        problem = self._visible(trimmed.text) or (self._strict(trimmed) if self.strict else "")
        return trimmed, problem

    def _without_stranger(self, text: str) -> str:
        """`text` without a last `of the ...` that names no part: a small model misspells rare products."""
        head, of, tail = text.rpartition(" of ")
        return head if of and not set(words(tail)) & self._own_words() and len(words(head)) > 1 else text

    def _visible(self, text: str) -> str:
        content = words(text)
        known = set(content)
        if not _SHAPE.fullmatch(text) or any(len(word) > _LONGEST_WORD for word in content):
            return "not plain lower-case words"
        if not 1 <= len(content) <= MAX_WORDS:
            return "empty" if not content else "too long"
        if known & set(self._names()):
            return "names the product"
        if places := known & PLACES - self._own_words():
            return f"names-position: {min(places)}"
        if finding := self._linted(text):
            return finding
        return "" if known - _VAGUE else "too general"

    def _linted(self, text: str) -> str:
        """The first rule of the linter that the phrase breaks: what is refused later is not written now."""
        entry = Anomaly(id="candidate", text=text)
        product = self.product
        alone = DescriptionFile(
            category=product.category, object_name=product.object_name, parts=product.parts, anomalies=(entry,)
        )
        return next((f"{finding.rule}: {finding.message}" for finding in lint(alone) if finding.rule in _LINTED), "")

    def _strict(self, candidate: Candidate) -> str:
        text, content = candidate.text, words(candidate.text)
        stems = [stem(word) for word in content]
        if candidate.mean_logprob is not None and candidate.mean_logprob < MIN_LOGPROB:
            return f"the model is unsure: {candidate.mean_logprob:.2f}"
        if len(set(stems)) < len(stems):
            return "repeats a word"
        if len(content) < 2 or text == candidate.family:
            return "says too little"
        if _JUNK.search(text):
            return "broken grammar"
        if foreign := set(content) & self.foreign - self._own_words():
            return f"copied from an example: {min(foreign)}"
        if candidate.family in self.own:
            if not _alike(content, words(candidate.family)):
                return f"not about {candidate.family}"
        elif not _VISIBLE.search(text):
            return "no visible defect"
        parts = {stem(word) for word in self._own_words()}
        return "" if not parts or parts.intersection(stems) else "names no part"

    def _names(self) -> Iterable[str]:
        """The word that is the product's name (`nut` of `metal nut`), singular and plural."""
        head = self.product.object_name.lower().split()[-1]
        return {head, f"{head}s", head.removesuffix("s")} - self._own_words()

    def _own_words(self) -> frozenset[str]:
        """Words of the product's parts; they are always allowed."""
        return frozenset(word for part in self.product.parts for word in words(part))
