"""How many tokens a text takes, without loading a deep-learning library.

CLIP's count is exact for ASCII text: the same byte-pair merges in the same order, read from the merge table that
open_clip ships. Where that table is not installed, and for BERT, an estimate errs on the long side.
"""

import gzip
import html
import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

CLIP_LENGTH = 77
"""Tokens CLIP reads in all."""
BERT_LENGTH = 256
"""Tokens Grounding DINO's text encoder reads in all."""

_MERGES = 49152 - 256 - 2
"""Merges CLIP uses; the table holds more."""
_PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")

Counter = Callable[[str], int]


def count_clip(text: str) -> int:
    """Tokens of `text` for CLIP, without the start and end token."""
    table = _table()
    if table is None:
        return estimate(text)
    cleaned = html.unescape(html.unescape(text)).lower()
    return sum(_merged_length(piece, table) for piece in _PIECE.findall(cleaned))


def count_bert(text: str) -> int:
    """An upper estimate of the WordPiece tokens of `text` for BERT, with its start and end token."""
    return estimate(text) + 2


def estimate(text: str) -> int:
    """One token for each three bytes of a word, and one for each punctuation mark; English is nearly always shorter."""
    words = re.findall(r"\w+|[^\w\s]", text)
    return sum((len(word.encode()) + 2) // 3 for word in words)


@cache
def _table() -> Path | None:
    """open_clip's merge table; found without importing open_clip, which would load torch."""
    spec = find_spec("open_clip")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "bpe_simple_vocab_16e6.txt.gz"
        if path.is_file():
            return path
    return None


@cache
def _ranks(table: Path) -> dict[tuple[str, str], int]:
    lines = gzip.decompress(table.read_bytes()).decode().split("\n")[1 : _MERGES + 1]
    pairs = (line.split() for line in lines)
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


@cache
def _alphabet() -> list[str]:
    """The printable character that stands for each byte in the merge table."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


@lru_cache(maxsize=10_000)
def _merged_length(piece: str, table: Path) -> int:
    """Tokens left of one word after all merges."""
    ranks, alphabet = _ranks(table), _alphabet()
    symbols = [alphabet[byte] for byte in piece.encode()]
    symbols[-1] += "</w>"
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, _MERGES))
        if best not in ranks:
            break
        symbols = _merge(symbols, best)
    return len(symbols)


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    position = 0
    while position < len(symbols):
        hit = tuple(symbols[position : position + 2]) == pair
        merged.append("".join(pair) if hit else symbols[position])
        position += 2 if hit else 1
    return merged
