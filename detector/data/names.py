"""Which description file a category of a data set uses: the one of its name, or the one that `--map` says."""

import shlex
from collections.abc import Iterable, Mapping, Sequence

from descriptions.common.errors import UnknownCategoryError, nearest
from descriptions.common.refs import Ref, parse_ref, slug
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector.data.errors import DataError
from detector.images.mask_names import same_name

Names = Mapping[str, str]
"""Reference to a description, such as `weld` or `weld@2`, by the name of a category of a data set."""


def parse_names(pairs: Iterable[str]) -> dict[str, str]:
    """`FOLDER=DESCRIPTION` as typed, by folder.

    Raises:
        DataError: not of this form, or a folder with two descriptions.
    """
    names: dict[str, str] = {}
    for pair in pairs:
        folder, equals, description = (part.strip() for part in pair.rpartition("="))
        if not folder or not equals or not description:
            raise DataError(f"--map {pair!r}", expected="FOLDER=DESCRIPTION", hint="such as --map welding=weld")
        if names.setdefault(folder, description) != description:
            raise DataError(
                f"--map {folder} is {names[folder]} and {description}", expected="one description per folder"
            )
    return names


def read_names(pairs: Iterable[str], categories: Sequence[str], store: Store) -> dict[str, str]:
    """What `--map` says, by category.

    Args:
        pairs: as typed.
        categories: of the data set.
        store: library of descriptions.

    Raises:
        DataError: not `FOLDER=DESCRIPTION`, or a folder that is no category, with the nearest match.
        DescriptionError: a description that is not there, with the nearest match.
    """
    names = {}
    for folder, description in parse_names(pairs).items():
        same = [folder] if folder in categories else [each for each in categories if _alike(each, folder)]
        if not same:
            known = ", ".join(categories)
            hint = nearest(folder, list(categories))
            raise DataError(f"--map {folder}={description}: no category {folder!r}", expected=known, hint=hint)
        store.resolve(description)
        names[same[0]] = description
    return names


def _alike(first: str, second: str) -> bool:
    return same_name(first, second) or slug(first) == slug(second) != ""


def reference(category: str, names: Names, version: str = "") -> Ref:
    """What a category's descriptions are called.

    Args:
        category: of the data set.
        names: what `read_names` returned.
        version: such as `@2`, instead of the one that `names` says.

    Raises:
        BadReferenceError: not a reference.
    """
    ref = parse_ref(names.get(category, slug(category)))
    return parse_ref(ref.category + version) if version else ref


def load_described(store: Store, category: str, names: Names, ref: Ref | None = None) -> DescriptionFile:
    """The description file of a category.

    Args:
        store: library of descriptions.
        category: of the data set.
        names: what `read_names` returned.
        ref: this very version, instead of the one that `names` says.

    Raises:
        UnknownCategoryError: there is none of this name; the hint says how to name another one.
        DescriptionError: see `Store.load`.
    """
    wanted = ref or reference(category, names)
    try:
        return store.load(wanted)
    except UnknownCategoryError as error:
        if wanted.category != slug(category):
            raise
        raise UnknownCategoryError(error.problem, expected=error.expected, hint=_other_name(category, store)) from error


def _other_name(category: str, store: Store) -> str:
    """What to type for a category without a description of its name."""
    near = nearest(slug(category), store.readable())
    name = near.removeprefix("did you mean ").removesuffix("?") or "DESCRIPTION"
    mapped = f"--map {shlex.quote(f'{category}={name}')}"
    if near:
        return f"{near} then type {mapped}"
    return f"make it with: prompt-forge generate --category {slug(category)}, or name another one: {mapped}"
