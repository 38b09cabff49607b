"""How many tokens a text takes, without loading a deep-learning library.

CLIP's count is exact for ASCII text: the same byte-pair merges in the same order, read from the merge table that
open_clip ships. Where that table is not installed, and for BERT, an estimate errs on the long side.
"""

import gzip
import html
import json
import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from descriptions.common.errors import InvalidFileError

CLIP_LENGTH = 77
"""Tokens CLIP reads in all."""
ROWS = "clip.token_embedding.weight.rows"
"""Tensor of a weight file of ours that lists the tokens a model knows, with the size of the vocabulary at its end."""
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


def unread_words(text: str, readable: frozenset[int] | None) -> list[str]:
    """Words of `text` of which a model does not know every token, in order: it reads blanks instead.

    Args:
        text: a phrase.
        readable: ids of the CLIP tokens that the model knows; None for all of them.
    """
    if readable is None:
        return []
    pieces = dict.fromkeys(_PIECE.findall(html.unescape(html.unescape(text)).lower()))
    return [piece for piece in pieces if piece[0].isalnum() and not readable.issuperset(clip_ids(piece))]


def can_tell_words() -> bool:
    """Whether the merge table is installed, without which `unread_words` finds none."""
    return _table() is not None


def readable_tokens(weights: Path) -> frozenset[int] | None:
    """Ids of the CLIP tokens that a model was taught, from the header and one tensor of its file; None for all.

    A file of ours leaves out the rows of tokens that stayed zero (`detector.weights.files`); it is read without torch.
    One that holds the trained parts only was trained around a bundled model, or around a CLIP that knows all tokens.

    Raises:
        InvalidFileError: no weight file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="np") as file:
            if ROWS in file.keys():  # noqa: SIM118 - not a dictionary
                *present, _ = file.get_tensor(ROWS).tolist()
                return frozenset(present)
            metadata = json.loads((file.metadata() or {}).get("filo-forge", "{}"))
    except (OSError, ValueError, SafetensorError) as error:
        raise InvalidFileError(f"{weights}: {error}", expected="a .safetensors file") from error
    around = (
        preset_weights(str(metadata.get("config", {}).get("backbone")))
        if metadata.get("contents") == "trained"
        else None
    )
    return readable_tokens(around) if around else None


def presets() -> dict[str, Path]:
    """Folders of the ready-made vision models by name, found without importing `detector`."""
    spec = find_spec("detector")
    folders = [Path(folder) / "presets" for folder in (spec.submodule_search_locations or ())] if spec else []
    return {config.parent.name: config.parent for folder in folders for config in sorted(folder.glob("*/config.json"))}


def preset_weights(name: str) -> Path | None:
    """The weight file of a bundled vision model; None if it has none, as for CLIP's own weights."""
    path = presets().get(name, Path()) / "model.safetensors"
    return path if name in presets() and path.is_file() else None


@cache
def clip_ids(word: str) -> tuple[int, ...]:
    """Ids of the tokens of one lower-case word, as CLIP numbers them: bytes, bytes that end a word, then merges.

    Empty where the merge table is not installed.
    """
    if (table := _table()) is None:
        return ()
    return tuple(_token_ids(table)[symbol] for symbol in _merged_symbols(word, table))


@cache
def _token_ids(table: Path) -> dict[str, int]:
    alphabet = _alphabet()
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = [alphabet[byte] for byte in [*printable, *(byte for byte in range(256) if byte not in set(printable))]]
    names = [*order, *(symbol + "</w>" for symbol in order), *(left + right for left, right in _ranks(table))]
    return {name: number for number, name in enumerate(names)}


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


def _merged_length(piece: str, table: Path) -> int:
    return len(_merged_symbols(piece, table))


@lru_cache(maxsize=10_000)
def _merged_symbols(piece: str, table: Path) -> tuple[str, ...]:
    """Tokens left of one word after all merges."""
    ranks, alphabet = _ranks(table), _alphabet()
    symbols = [alphabet[byte] for byte in piece.encode()]
    symbols[-1] += "</w>"
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, _MERGES))
        if best not in ranks:
            break
        symbols = _merge(symbols, best)
    return tuple(symbols)


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    position = 0
    while position < len(symbols):
        hit = tuple(symbols[position : position + 2]) == pair
        merged.append("".join(pair) if hit else symbols[position])
        position += 2 if hit else 1
    return merged
