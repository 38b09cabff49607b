"""What is compared: description versions, and the controls that show what their words are worth."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from descriptions.common.refs import slug
from descriptions.format.schema import ABNORMAL_STATES, NORMAL_STATES, DescriptionFile
from detector.scoring.prompts import AnomalyText, PromptSet, create_prompts, prompt_set

CONTROLS = ("generic", "winclip", "random")
"""generic: every product's words instead of the descriptions; winclip: states alone; random: meaningless words."""

GENERIC_WORDS = ("damage", "defect", "flaw", "anomaly", "imperfection")

_MEANINGLESS = (
    "autumn basket candle dinner engine feather garden harbor island jacket kitchen ladder meadow needle orchard",
    "pencil quarter ribbon saddle teacher umbrella village window yellow zebra music river mountain paper silver",
    "bridge carpet doctor eagle forest guitar honey iron jungle king lemon market night ocean piano queen rabbit",
)


class Variant(NamedTuple):
    """One set of prompts under evaluation."""

    name: str
    prompts: PromptSet
    control: bool
    content_hash: str
    """Of the stored description file, whatever is left out of it; for a control, of the version it stands against."""
    ref: str | None = None
    """Category and version of the description file; None for a control."""


def describe(name: str, description: DescriptionFile, context_tokens: int) -> Variant:
    """A description version as it would be used."""
    prompts = create_prompts(description, context_tokens=context_tokens)
    return Variant(name, prompts, False, description.content_hash, description.ref)


def controls(description: DescriptionFile, context_tokens: int, seed: int = 0) -> list[Variant]:
    """The three controls for a description version, with its object name."""
    words = {
        "generic": (description.normal, GENERIC_WORDS, description.abnormal),
        "winclip": (NORMAL_STATES, (), ABNORMAL_STATES),
        "random": (description.normal, random_texts(description.enabled_texts, seed), description.abnormal),
    }
    return [
        Variant(
            name,
            prompt_set(
                description.object_name,
                normal,
                _numbered(texts),
                abnormal or ABNORMAL_STATES,
                context_tokens=context_tokens,
            ),
            True,
            description.content_hash,
        )
        for name, (normal, texts, abnormal) in words.items()
    ]


def random_texts(texts: Sequence[str], seed: int = 0) -> tuple[str, ...]:
    """As many texts, each of as many words, without any meaning for the product; the same for the same seed."""
    words = " ".join(_MEANINGLESS).split()
    generator = random.Random(seed)
    return tuple(" ".join(generator.choices(words, k=len(text.split()))) for text in texts)


def leaks(description: DescriptionFile, defects: Sequence[str]) -> tuple[str, ...]:
    """Ids of enabled texts that are the name of a kind of defect in the data, which nobody would know beforehand."""
    names = {slug(defect) for defect in defects}
    return tuple(entry.id for entry in description.anomalies if entry.enabled and slug(entry.text) in names)


def leak_free(description: DescriptionFile, defects: Sequence[str]) -> DescriptionFile:
    """The description file without the texts that `leaks` names."""
    leaked = leaks(description, defects)
    entries = [
        entry.model_copy(update={"enabled": entry.enabled and entry.id not in leaked})
        for entry in description.anomalies
    ]
    return description.revised(anomalies=tuple(entries))


def _numbered(texts: Sequence[str]) -> list[AnomalyText]:
    return [AnomalyText(f"w{index}", text) for index, text in enumerate(texts)]
