"""What is known of a product before any model is asked: its words, its parts, its kinds of defect.

Small models have no such knowledge (asked for the parts of a carpet, one answered "skin, stem, core"), so it is data:
`catalog.yaml` beside the templates, with the same three layers.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from descriptions.common.errors import SettingsError, nearest
from descriptions.common.files import decode
from descriptions.common.refs import parse_ref, slug
from descriptions.format.schema import DescriptionFile, State
from descriptions.format.yaml_io import parse_yaml, read_bytes
from prompt_forge.generation.parse import clean
from prompt_forge.templating.layers import Layer, layers

FILE = "catalog.yaml"
DEFAULT_PARTS = ("surface", "edge")
DEFAULT_FAMILIES = (
    "crack",
    "broken edge",
    "scratch",
    "dent or bend",
    "stain or colour",
    "dirt or foreign object",
    "hole",
    "missing part",
    "rough texture",
)
"""Kinds of defect for a product nothing is known of."""

SAVED = ("object_name", "parts")
"""What a description file keeps of a product, and people may have corrected there."""

Words = Annotated[str, Field(min_length=1, max_length=64)]
"""As long as a category may be, whose name stands in where nothing else is known."""


class Product(BaseModel):
    """What to ask about."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    category: str
    """Folder name of the product."""
    object_name: Words
    """The words CLIP reads for it."""
    normal: Annotated[tuple[State, ...], Field(max_length=20)] = ()
    """How a good one looks, beside the usual states; `{}` stands for the object name."""
    parts: Annotated[tuple[Words, ...], Field(max_length=20)] = ()
    """Its visible parts."""
    families: Annotated[tuple[Words, ...], Field(max_length=40)] = ()
    """Kinds of defect it can have; empty when unknown."""
    only: dict[Words, tuple[Words, ...]] = {}
    """For some families, the parts they can hit; other families can hit every part."""

    _said: frozenset[str] = PrivateAttr(default=frozenset())
    """Names of the fields that the user gave for this run."""

    def targets(self, family: str) -> tuple[str, ...]:
        """The parts to ask about for `family`."""
        only = (part for part in self.only.get(family, ()) if part in self.parts or not self.parts)
        return tuple(only) or self.parts or DEFAULT_PARTS

    def saying(self, fields: Iterable[str]) -> "Product":
        """The same, where the user gave these `fields` as well."""
        copy = self.model_copy()
        copy._said = self._said.union(fields)
        return copy

    def after(self, saved: DescriptionFile | None) -> "Product":
        """What to ask about for the version that follows `saved`: its words stay where the user gave no others."""
        words = {name: getattr(saved, name, None) for name in SAVED if name not in self._said}
        return self.model_copy(update={name: value for name, value in words.items() if value})


def plain(category: str) -> Product:
    """A product of which only the name is known."""
    name = parse_ref(category).category
    return Product(category=name, object_name=name.replace("_", " ").replace("-", " "))


def read_products(path: Path) -> dict[str, Product]:
    """Read a catalog: a YAML mapping of categories, or a plain list with one name on each line.

    Raises:
        SettingsError: an entry is wrong.
        descriptions.errors.InvalidFileError: the file cannot be read or is not plain YAML.
    """
    data = read_bytes(path)
    if path.suffix in {".yaml", ".yml"}:
        return {str(name): _product(path, str(name), entry) for name, entry in parse_yaml(data, str(path)).items()}
    try:
        lines = decode(data).split("\n")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8", hint="save it as UTF-8") from error
    names = (line.split("#")[0].strip() for line in lines)
    return {slug(name): plain(slug(name)) for name in names if name}


def _product(path: Path, name: str, entry: Any) -> Product:
    if not isinstance(entry, dict):
        raise SettingsError(f"{path}: {name} is {entry!r}", expected="a mapping with object_name, parts, families")
    try:
        return Product.model_validate({**plain(name).model_dump(), **entry, "category": name})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        hint = nearest(str(first["loc"][-1]), list(Product.model_fields)) if first["type"] == "extra_forbidden" else ""
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{path}: {name}.{where}: {first['msg']}", hint=hint) from error


def load_catalog(folders: tuple[Layer, ...] | None = None) -> dict[str, Product]:
    """All known products, in the order of the file; later layers win."""
    known: dict[str, Product] = {}
    for layer in folders or layers():
        if (path := layer.folder / FILE).is_file():
            known.update(read_products(path))
    return known


def choose(
    known: Mapping[str, Product],
    category: str,
    *,
    object_name: str | None = None,
    parts: Iterable[str] = (),
    families: Iterable[str] = (),
) -> Product:
    """The product to ask about: what the catalog says, overridden by what the user says.

    Raises:
        SettingsError: a word is too long or empty.
        descriptions.errors.BadReferenceError: `category` cannot be a folder name.
    """
    base = known.get(category) or plain(category)
    hints = {"object_name": object_name and clean(object_name), "parts": _words(parts), "families": _words(families)}
    details = {name: value for name, value in hints.items() if value}
    try:
        return Product.model_validate({**base.model_dump(), **details}).saying(base._said.union(details))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SettingsError(f"{category}: {first['loc'][0]}: {first['msg']}") from error


def _words(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for item in items if (word := clean(item)))
