"""What makes a description useless or harmful to the detector, and the safe fixes.

Errors are texts the detector cannot use; warnings are texts that probably do not help. Only enabled entries are looked
at, and `fix` never touches a locked one.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from descriptions.common.refs import slug
from descriptions.common.tokens import BERT_LENGTH, CLIP_LENGTH, Counter, count_bert, count_clip, unread_words
from descriptions.common.words import GENERIC, MAYBE_UNSEEN, POSITIONS, SENSES, is_near, words
from descriptions.format.schema import MAX_TEXT, Anomaly, DescriptionFile
from descriptions.format.yaml_problems import cut_comments

CONTEXT_TOKENS = 12
"""Learned vectors that stand before every text."""
FEW, MANY = 3, 60
"""Fewer descriptions than this say little; more than this blur the mean of their features."""
LONGEST_POSITION = "bottom right"

_TYPOGRAPHY = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-", 0x2014: "-", 0x2026: "..."}
"""Curly quotes, dashes and the ellipsis."""

Level = Literal["error", "warning"]


class Finding(NamedTuple):
    """One thing to look at."""

    rule: str
    level: Level
    entry: str
    """Id of the anomaly; empty when it is about the whole file."""
    message: str
    fixable: bool = False
    """Whether `fix` repairs it."""


@dataclass(frozen=True)
class Context:
    """What the rules may ask besides the file itself."""

    clip: Counter = count_clip
    """Tokens of a text for CLIP, without start and end."""
    bert: Counter = count_bert
    """Tokens of a caption for BERT, start and end included."""
    leaks: Collection[str] = ()
    """Names of defect folders of data sets the file is evaluated on."""
    model: str = ""
    """Name of the vision model that is going to read the file."""
    readable: frozenset[int] | None = None
    """CLIP tokens that it knows; None for all."""


class Problem(NamedTuple):
    """What one rule says of one entry; the entry is empty for the whole file."""

    entry: str
    message: str


Check = Callable[[DescriptionFile, Context], Iterator[Problem]]


class Rule(NamedTuple):
    """A named check."""

    name: str
    level: Level
    check: Check
    fixable: bool = False


def lint(description: DescriptionFile, context: Context | None = None) -> list[Finding]:
    """All findings of all rules: errors first, then in the order of the file.

    Args:
        description: the file.
        context: token counters and names that must not leak.
    """
    context = context or Context()
    findings = [
        Finding(rule.name, rule.level, problem.entry, problem.message, rule.fixable)
        for rule in RULES
        for problem in rule.check(description, context)
    ]
    order = {entry.id: index for index, entry in enumerate(description.anomalies)}
    return sorted(findings, key=lambda finding: (finding.level != "error", order.get(finding.entry, -1)))


def fix(description: DescriptionFile) -> DescriptionFile:
    """The file with the safe fixes applied: case, spaces, typography, separators; exact duplicates are disabled."""
    repaired = [entry if entry.locked or not entry.enabled else _repair(entry) for entry in description.anomalies]
    seen = {entry.text: entry.id for entry in reversed(repaired) if entry.enabled}
    seen |= {entry.text: entry.id for entry in reversed(repaired) if entry.enabled and entry.locked}
    entries = [
        entry.model_copy(update={"enabled": entry.locked or seen[entry.text] == entry.id}) if entry.enabled else entry
        for entry in repaired
    ]
    return description if tuple(entries) == description.anomalies else description.revised(anomalies=tuple(entries))


def _repair(entry: Anomaly) -> Anomaly:
    text = unicodedata.normalize("NFKD", entry.text.translate(_TYPOGRAPHY))
    text = "".join(letter for letter in text if not unicodedata.combining(letter)).lower()
    text = re.sub(r"\s*,\s*(and\b\s*)?", lambda match: f" {match[1] or ''}", text)
    text = " ".join(re.sub(r"(\s+\.)+(?=\s|$)", " ", text).split()).rstrip(" .")
    usable = text and len(text) <= MAX_TEXT
    return entry.model_copy(update={"text": text}) if usable else entry


def _enabled(description: DescriptionFile) -> list[Anomaly]:
    return [entry for entry in description.anomalies if entry.enabled]


def _not_visible(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    for entry in _enabled(description):
        known = set(words(entry.text))
        for sense, listed in SENSES.items():
            if hit := sorted(known & listed):
                yield Problem(entry.id, f"{hit[0]!r} is {sense}, which no camera sees; say what it looks like")
                break


def _maybe_not_visible(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    for entry in _enabled(description):
        if hit := [word for word in words(entry.text) if word in MAYBE_UNSEEN]:
            yield Problem(entry.id, f"{hit[0]!r} may not be visible; say what it looks like")


def _clip_length(description: DescriptionFile, context: Context) -> Iterator[Problem]:
    for entry in _enabled(description):
        prompt = f"abnormal {description.object_name} with {entry.text} at {LONGEST_POSITION}."
        tokens = context.clip(prompt) + CONTEXT_TOKENS + 2
        if tokens > CLIP_LENGTH:
            yield Problem(entry.id, f"{tokens} CLIP tokens with template, context and position; {CLIP_LENGTH} are read")


def _caption_length(description: DescriptionFile, context: Context) -> Iterator[Problem]:
    tokens = context.bert(" . ".join(description.enabled_texts))
    if tokens > BERT_LENGTH:
        yield Problem(
            "", f"about {tokens} BERT tokens in the joined caption, {BERT_LENGTH} are read; shorten or disable"
        )


def _separator(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    for entry in _enabled(description):
        if match := re.search(r",|\s\.(?=\s|$)", entry.text):
            yield Problem(entry.id, f"{match[0].strip()!r} would split the text in two; write two entries")


def _duplicate(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for entry in _enabled(description):
        text = " ".join(entry.text.lower().split())
        if text in first:
            yield Problem(entry.id, f"the same text as {first[text]}")
        first.setdefault(text, entry.id)


def _near_duplicate(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    seen: list[Anomaly] = []
    for entry in _enabled(description):
        for other in seen:
            different = entry.text.lower().split() != other.text.lower().split()
            if different and words(entry.text) and is_near(entry.text, [other.text]):
                yield Problem(entry.id, f"nearly the same as {other.id}: {other.text!r}")
                break
        seen.append(entry)


def _names_category(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    names = {description.object_name.lower(), description.category.replace("_", " ")}
    pattern = re.compile("|".join(rf"\b{re.escape(name)}s?\b" for name in sorted(names)))
    for entry in _enabled(description):
        if repeated := pattern.search(entry.text.lower()):
            yield Problem(entry.id, f"repeats {repeated[0]!r}, which the template says already")


def _names_position(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    parts = {word for part in description.parts for word in words(part)}
    for entry in _enabled(description):
        if hit := [word for word in words(entry.text) if word in POSITIONS and word not in parts]:
            yield Problem(entry.id, f"names the position {hit[0]!r}; the detector adds the position it finds")


def _generic(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    about = set(words(description.object_name))
    for entry in _enabled(description):
        if not set(words(entry.text)) - GENERIC - about:
            yield Problem(entry.id, f"{entry.text!r} says that something is wrong, not what; name what is seen")


def _case(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    for entry in _enabled(description):
        if entry.text != entry.text.lower():
            yield Problem(entry.id, "upper case; CLIP reads lower case")


def _spaces(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    for entry in _enabled(description):
        if entry.text != " ".join(entry.text.split()):
            yield Problem(entry.id, "spaces at an end, or two in a row")


def _ascii(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    for entry in _enabled(description):
        if odd := sorted({letter for letter in entry.text if not letter.isascii()}):
            yield Problem(entry.id, f"{odd[0]!r} is not ASCII; CLIP was trained on English")


def _cut_by_comment(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    entries = {entry.id for entry in _enabled(description)}
    for cut in cut_comments(description):
        if not cut.entry or cut.entry in entries:
            where = "" if cut.field == "text" else f"{cut.field}: "
            yield Problem(
                cut.entry, f"{where}YAML reads {cut.comment!r} behind {cut.text!r} as a comment; put both in quotes"
            )


def _unread(description: DescriptionFile, context: Context) -> Iterator[Problem]:
    if unread := unread_words(description.object_name, context.readable):
        yield Problem("", f"{context.model} cannot read {', '.join(map(repr, unread))} in the object name")
    for entry in _enabled(description):
        if unread := unread_words(entry.text, context.readable):
            yield Problem(entry.id, f"{context.model} cannot read {', '.join(map(repr, unread))}: blanks to it")


def _count(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    enabled = len(_enabled(description))
    if 0 < enabled < FEW:
        yield Problem("", f"{enabled} enabled entries; fewer than {FEW} say little")
    elif enabled > MANY:
        yield Problem("", f"{enabled} enabled entries; more than {MANY} blur each other")


def _empty(description: DescriptionFile, _: Context) -> Iterator[Problem]:
    if not _enabled(description):
        yield Problem("", "no enabled entry; the detector would see the generic states alone")


def _leak(description: DescriptionFile, context: Context) -> Iterator[Problem]:
    leaks = {slug(name): name for name in context.leaks}
    for entry in _enabled(description):
        if name := leaks.get(slug(entry.text)):
            yield Problem(entry.id, f"equals the defect folder {name!r} of the data set; the score would be flattered")


RULES: tuple[Rule, ...] = (
    Rule("empty", "error", _empty),
    Rule("not-visible", "error", _not_visible),
    Rule("generic", "error", _generic),
    Rule("clip-length", "error", _clip_length),
    Rule("separator", "error", _separator, fixable=True),
    Rule("duplicate", "error", _duplicate, fixable=True),
    Rule("maybe-not-visible", "warning", _maybe_not_visible),
    Rule("near-duplicate", "warning", _near_duplicate),
    Rule("names-category", "warning", _names_category),
    Rule("names-position", "warning", _names_position),
    Rule("caption-length", "warning", _caption_length),
    Rule("case", "warning", _case, fixable=True),
    Rule("spaces", "warning", _spaces, fixable=True),
    Rule("ascii", "warning", _ascii, fixable=True),
    Rule("cut-by-comment", "warning", _cut_by_comment),
    Rule("unread-words", "warning", _unread),
    Rule("count", "warning", _count),
    Rule("label-leak", "warning", _leak),
)
"""Every rule there is."""
