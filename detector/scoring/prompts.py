"""From a description file to the token ids that the text tower reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from descriptions.format.schema import DescriptionFile
from detector.errors import DetectorError
from detector.localize.regions import REGIONS
from detector.model.prompt_tree import Ids, PromptIds
from detector.model.tokenizer import clip_tokenizer

CONTEXT_LENGTH = 77
"""Tokens CLIP reads at most, start, context and end included."""


class PromptTooLongError(DetectorError):
    """A prompt that CLIP would have to cut."""


class AnomalyText(NamedTuple):
    """An entry of a description file, as the model reads it."""

    id: str
    text: str


@dataclass(frozen=True)
class PromptSet(PromptIds):
    """Token ids of all prompts of one product, and the descriptions behind them."""

    object_name: str
    """The words CLIP reads for the product."""
    anomalies: tuple[AnomalyText, ...]
    """What the first abnormal states stand for, in order; the states after them are generic."""


def create_prompts(description: DescriptionFile, *, context_tokens: int = 12) -> PromptSet:
    """All prompts of a description file.

    Raises:
        PromptTooLongError: a prompt does not fit into CLIP's 77 tokens.
    """
    enabled = tuple(AnomalyText(entry.id, entry.text) for entry in description.anomalies if entry.enabled)
    return prompt_set(
        description.object_name, description.normal, enabled, description.abnormal, context_tokens=context_tokens
    )


def prompt_set(
    object_name: str,
    normal: Sequence[str],
    anomalies: Sequence[AnomalyText],
    generic: Sequence[str],
    *,
    context_tokens: int = 12,
) -> PromptSet:
    """Prompts from their parts; `create_prompts` takes them from a file, controls and tests from elsewhere.

    Args:
        object_name: what stands for `{}` in the states.
        normal: normal states.
        anomalies: read as "abnormal <object> with <text>".
        generic: abnormal states used beside the descriptions.
        context_tokens: learned tokens that stand before the words.

    Raises:
        PromptTooLongError: a prompt does not fit into CLIP's 77 tokens.
        DetectorError: no abnormal state at all.
    """
    states = [f"abnormal {object_name} with {entry.text}" for entry in anomalies]
    states += [state.format(object_name) for state in generic]
    if not states or not normal:
        raise DetectorError(
            f"no {'abnormal' if normal else 'normal'} state for {object_name!r}",
            expected="at least one description or generic state on each side",
        )

    def encode(text: str) -> Ids:
        return encode_text(text, context_tokens)

    return PromptSet(
        normal=tuple(encode(f"{state.format(object_name)}.") for state in normal),
        abnormal=tuple(tuple(encode(f"{state} at {position}.") for position in REGIONS) for state in states),
        object_name=object_name,
        anomalies=tuple(anomalies),
    )


def without(prompts: PromptSet, index: int) -> PromptSet:
    """The prompts with one description left out."""
    return PromptSet(
        normal=prompts.normal,
        abnormal=prompts.abnormal[:index] + prompts.abnormal[index + 1 :],
        object_name=prompts.object_name,
        anomalies=prompts.anomalies[:index] + prompts.anomalies[index + 1 :],
    )


def encode_text(text: str, context_tokens: int = 12) -> Ids:
    """Token ids of `text` with the end-of-text token.

    Raises:
        PromptTooLongError: with start and context tokens it would not fit into 77.
    """
    tokenizer = clip_tokenizer()
    ids = (*tokenizer.encode(text), tokenizer.eot_token_id)
    length = 1 + context_tokens + len(ids)
    if length > CONTEXT_LENGTH:
        raise PromptTooLongError(
            f"the prompt {text!r} takes {length} tokens with {context_tokens} context tokens",
            expected=f"at most {CONTEXT_LENGTH}",
            hint="shorten the description (`prompt-forge lint` finds such texts)",
        )
    return ids
