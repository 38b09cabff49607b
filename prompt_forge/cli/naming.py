"""Commands that give categories other names: copy and rename."""

from typing import Annotated

import typer

from prompt_forge.cli.options import DescriptionsDir, RefArgument


def copy(
    ref: RefArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new category; default: the same name.")] = "",
    object_name: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Words CLIP reads for the new product; default: unchanged.")
    ] = None,
    descriptions_dir: DescriptionsDir = None,
) -> None:
    """Copy a version to a new category, as its version 1. A product of the package is copied into your own library.

    Example: `prompt-forge copy weld welding`
    """
    from descriptions.common.refs import parse_ref
    from descriptions.renaming import copy_category
    from descriptions.store import PACKAGED, Store
    from prompt_forge.console import print_line

    target = Store.open(descriptions_dir, writable=True)
    origin = Store(target.root, fallback=Store(PACKAGED, read_only=True))
    source = origin.resolve(ref)
    where = "the packaged " if origin.home(source.category) is not origin else ""
    saved = copy_category(origin, target, source, name or parse_ref(ref).category, object_name)
    print_line(f"{saved} is a copy of {where}{source}")


def rename(
    old: Annotated[str, typer.Argument(metavar="CATEGORY", help="The category as it is called now.")],
    new: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on.")],
    descriptions_dir: DescriptionsDir = None,
) -> None:
    """Rename a category of your library, with all its versions and labels.

    Example: `prompt-forge rename weld welding`
    """
    from descriptions.renaming import rename_category
    from descriptions.store import Store
    from prompt_forge.console import print_line

    renamed = rename_category(Store.open(descriptions_dir, writable=True), old, new)
    print_line(f"renamed {old} to {renamed[0].category}: versions {', '.join(str(one.version) for one in renamed)}")
