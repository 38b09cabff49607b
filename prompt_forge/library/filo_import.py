"""Reads the dictionaries of a released FiLo checkout, without running any of it.

A dictionary counts when it is a literal whose keys are texts and whose values are texts (phrases between commas) or
lists of texts. The release holds the same dictionary in several files, so people choose by name where that matters.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from descriptions.common.refs import NAME, slug
from descriptions.format.schema import MAX_TEXT, Anomaly, DescriptionFile
from prompt_forge.errors import PromptForgeError

MAX_BYTES = 2 * 1024 * 1024
MIN_PHRASES = 2
"""Mean number of phrases from which on a dictionary is one of descriptions, not of paths or options."""


class ImportFiLoError(PromptForgeError):
    """No dictionary of descriptions was found, or not the one that was asked for."""


class Found(NamedTuple):
    """One dictionary of phrases."""

    name: str
    """Variable or attribute it is assigned to."""
    place: str
    """`file.py:line`."""
    phrases: Mapping[str, tuple[str, ...]]
    """Phrases of each product."""

    @property
    def size(self) -> int:
        """Phrases in all."""
        return sum(map(len, self.phrases.values()))


def find(path: Path) -> list[Found]:
    """All dictionaries of phrases in a Python file or below a folder, the largest first.

    Raises:
        ImportFiLoError: there is none.
    """
    if not path.exists():
        raise ImportFiLoError(f"{path} does not exist", hint="pass the folder of a FiLo checkout")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    root = path if path.is_dir() else path.parent
    dictionaries = [one for file in files for one in _in_file(file, root)]
    if not dictionaries:
        raise ImportFiLoError(
            f"no dictionary of phrases in {path}",
            expected='Python with literals such as {"capsule": "crack, dent"}',
            hint="pass the folder of a FiLo checkout, or the file that holds the dictionary",
        )
    return sorted(dictionaries, key=lambda one: -one.size)


def choose(dictionaries: list[Found], name: str | None = None) -> Found:
    """The dictionary called `name`, or the largest.

    Raises:
        ImportFiLoError: none has this name.
    """
    named = [one for one in dictionaries if name in (None, one.name, one.place)]
    if not named:
        known = ", ".join(f"{one.name} ({one.place})" for one in dictionaries)
        raise ImportFiLoError(f"no dictionary {name!r}", expected=f"one of: {known}")
    return named[0]


def to_descriptions(dictionary: Found) -> list[DescriptionFile]:
    """One draft for each product; phrases too long for the format are left out.

    Raises:
        ImportFiLoError: a product does not fit the format.
    """
    return [
        _description(product, phrases, dictionary.place)
        for product, phrases in dictionary.phrases.items()
        if NAME.fullmatch(slug(product))
    ]


def _description(product: str, phrases: tuple[str, ...], place: str) -> DescriptionFile:
    entries = _entries(phrases, place)
    name = " ".join(product.replace("_", " ").split())
    try:
        return DescriptionFile(category=slug(product), object_name=name, anomalies=entries)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = f"{place}: {product:.80}: {first['loc'][0]}: {first['msg']}"
        raise ImportFiLoError(problem, hint="shorten it in a copy of the file, and import that") from error


def _entries(phrases: tuple[str, ...], place: str) -> tuple[Anomaly, ...]:
    texts = dict.fromkeys(phrase for phrase in phrases if len(phrase) <= MAX_TEXT)
    entries: dict[str, Anomaly] = {}
    for text in texts:
        if stem := slug(text)[:56].strip("_-"):
            name = _free_id(stem, entries)
            entries[name] = Anomaly(id=name, text=text, source="import", note=f"from {place}")
    return tuple(entries.values())


def _free_id(stem: str, taken: Collection[str]) -> str:
    """`dent`, `dent-2`, `dent-3`, ...: the first that is free."""
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def _in_file(file: Path, root: Path) -> Iterator[Found]:
    try:
        if file.stat().st_size > MAX_BYTES:
            return
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # a file Python cannot read holds no dictionary; `find` complains when none is left
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            for name, literal in _literals(_name(target), node.value):
                phrases = _phrases(literal)
                if phrases and sum(map(len, phrases.values())) >= MIN_PHRASES * len(phrases):
                    yield Found(name, f"{file.relative_to(root).as_posix()}:{literal.lineno}", phrases)


def _literals(name: str, node: ast.Dict) -> Iterator[tuple[str, ast.Dict]]:
    """The dictionary itself, and those inside it by their dotted names."""
    yield name, node
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(value, ast.Dict):
            yield from _literals(f"{name}.{_text(key)}", value)


def _name(target: ast.expr) -> str:
    return target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)


def _phrases(node: ast.Dict) -> dict[str, tuple[str, ...]]:
    """Phrases by product; empty when the literal holds anything else."""
    result: dict[str, tuple[str, ...]] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        name, phrases = _text(key), _split(value)
        if name is None or phrases is None:
            return {}
        result[name] = phrases
    return result


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _split(node: ast.expr) -> tuple[str, ...] | None:
    """Phrases of a value: between commas or lines of a text, or the items of a list."""
    text = _text(node)
    if text is not None:
        return tuple(_clean(part) for part in re.split(r"[,;\n]+", text) if _clean(part))
    if not isinstance(node, ast.List | ast.Tuple):
        return None
    items = [_text(item) for item in node.elts]
    return None if None in items else tuple(_clean(item) for item in items if item and _clean(item))


def _clean(phrase: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in phrase).split()).strip(" .")
