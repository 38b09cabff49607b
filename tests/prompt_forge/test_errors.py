"""The tree of errors at the top of the module is the tree of classes."""

import pkgutil
from importlib import import_module

import prompt_forge
from descriptions.common.errors import ForgeError
from prompt_forge import errors


def depths(kind: type[ForgeError], depth: int = 1) -> dict[str, int]:
    below = [depths(one, depth + 1) for one in kind.__subclasses__() if one.__module__.startswith("prompt_forge")]
    return {kind.__name__: depth} | {name: at for tree in below for name, at in tree.items()}


def test_every_error_is_drawn_where_it_hangs() -> None:
    for module in pkgutil.walk_packages(prompt_forge.__path__, "prompt_forge."):
        import_module(module.name)
    assert errors.__doc__ is not None
    branches = [line.partition("+-- ") for line in errors.__doc__.splitlines() if "+-- " in line]
    drawn = {rest.split()[0]: len(indent) // 4 + 1 for indent, _, rest in branches}
    assert drawn == depths(errors.PromptForgeError)
