"""Words that a model was never taught, which it reads as blanks without a word."""

from collections.abc import Iterable

from descriptions.common.tokens import preset_weights, readable_tokens
from descriptions.common.tokens import unread_words as unread_in
from descriptions.format.schema import DescriptionFile
from detector.model.filo import FiLo


def known_tokens(model: FiLo | str) -> frozenset[int] | None:
    """Ids of the CLIP tokens that a model was taught: those whose row in the embedding is not zero; None for all.

    Args:
        model: a model, or the name of a preset, which is looked up without loading the model.
    """
    if isinstance(model, str):
        weights = preset_weights(model)
        return readable_tokens(weights) if weights else None
    taught = (model.clip.token_embedding.weight != 0).any(1)
    return None if bool(taught.all()) else frozenset(taught.nonzero().flatten().tolist())


def unread_words(model: FiLo | str, texts: Iterable[str]) -> dict[str, list[str]]:
    """For each text that holds some, the words that the model cannot read whole, in order.

    Args:
        model: a model, or the name of a preset.
        texts: phrases, without the template around them.
    """
    known = known_tokens(model)
    return {text: words for text in dict.fromkeys(texts) if (words := unread_in(text, known))}


def unread_note(model: FiLo | str, description: DescriptionFile) -> str:
    """One line that names each phrase with its unread words; empty where the model reads all of them.

    Args:
        model: a model, or the name of a preset.
        description: whose object name, enabled phrases and states are looked at.
    """
    states = [state.replace("{}", " ").strip() for state in (*description.normal, *description.abnormal)]
    texts = [description.object_name, *description.enabled_texts, *states]
    unread = unread_words(model, texts)
    if not unread:
        return ""
    listed = "; ".join(f"{', '.join(words)} in {text!r}" for text, words in unread.items())
    return (
        f"{description.ref}: the model does not know all words of {len(unread)} of {len(set(texts))} phrases and reads"
        f" blanks for them: {listed}"
    )
