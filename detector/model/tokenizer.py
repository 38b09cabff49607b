"""CLIP's tokenizer: words to the ids that the text tower reads."""

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def clip_tokenizer() -> Any:
    """CLIP's byte-pair tokenizer, which ships with open_clip."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def start_token() -> int:
    """Id of the start-of-text token."""
    start: int = clip_tokenizer().sot_token_id
    return start
