"""Copies and new names of whole categories; the words inside stay as they are."""

import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from descriptions.common.errors import BadReferenceError, ExistingCategoryError
from descriptions.common.refs import Ref, parse_ref
from descriptions.format.schema import DescriptionFile
from descriptions.format.yaml_io import dump_description
from descriptions.store import Store


def copy_category(origin: Store, target: Store, ref: Ref | str, name: str, object_name: str | None = None) -> Ref:
    """Save one version as the first of another category, and return what it is called now.

    Args:
        origin: where it is read.
        target: where it is saved; may be the same library.
        ref: which version.
        name: of the new category.
        object_name: the words CLIP reads for the new product; those of the old one by default. Other words make the
            copy a draft: nobody has looked at the phrases beside them.

    Raises:
        DescriptionError: the version is unknown or broken, `name` is no category, or the target has it already.
        ReadOnlyLibraryError: the target cannot be written to.
    """
    source, category = origin.load(ref), new_name(target, name)
    now = datetime.now(UTC).replace(microsecond=0)
    renamed = object_name is not None and object_name != source.object_name
    copy = source.revised(
        category=category, object_name=object_name or source.object_name, parent=None, created=now,
        status="draft" if renamed else source.status,
    )  # fmt: skip
    return Ref(category, target.save(copy).version)


def rename_category(store: Store, old: str, new: str) -> list[Ref]:
    """Give a category another name, with all its versions and labels, and return the versions as they are called now.

    All files of the new folder are written before it appears, and only then the old one goes.

    Raises:
        DescriptionError: `old` is unknown, one of its versions is broken, `new` is no category or is there already.
        ReadOnlyLibraryError: the library cannot be written to.
    """
    store._writable()
    category = store.resolve(Ref(_bare(old))).category
    name = new_name(store, new)
    versions = [store.load(Ref(category, number)) for number in store.versions(category)]
    with store._friendly(), store._locked(category):
        folder, staging = store.root / category, Path(tempfile.mkdtemp(dir=store.root, prefix=".rename-"))
        try:
            carried = _carry(folder, staging, versions, name)
            staging.chmod(folder.stat().st_mode & 0o777)  # mkdtemp makes folders that only their owner can read
            staging.rename(store.root / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        for path in carried:
            path.unlink()
        with suppress(OSError):  # a version that another process saved meanwhile stays where it is
            folder.rmdir()
    return [Ref(name, version.version) for version in versions]


def _carry(folder: Path, staging: Path, versions: list[DescriptionFile], name: str) -> list[Path]:
    """Fill the new folder; the files of the old one that are in it now."""
    texts = {f"v{one.version}.yaml": dump_description(one.revised(category=name)) for one in versions}
    carried = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    for path in carried:
        if path.name in texts:
            (staging / path.name).write_text(texts[path.name], encoding="utf-8")
        else:
            shutil.copy2(path, staging / path.name)
    return carried


def new_name(store: Store, name: str) -> str:
    """A category that the library does not have yet.

    Raises:
        BadReferenceError: it is no name.
        ExistingCategoryError: it is taken.
    """
    category = _bare(name)
    if store.versions(category):
        raise ExistingCategoryError(
            f"{store.root} has a category {category!r} already", expected="a new name", hint="see prompt-forge list"
        )
    return category


def _bare(name: str) -> str:
    """A category without a version."""
    if "@" in name:
        raise BadReferenceError(f"name {name!r}", expected="a category without @")
    return parse_ref(name).category
