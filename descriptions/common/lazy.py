"""Public names of a package that are looked up when they are first used, so that `import package` stays cheap."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """A package whose public functions are not hidden by its modules of the same name.

    Python binds a module in its package when it is first imported, from wherever: `descriptions.lint` would be the
    function until then and the module from then on.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in vars(self).get("__all__", ())):
            super().__setattr__(name, value)


def public(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package needs for lazy public names: its `__getattr__` and its `__dir__` (PEP 562).

    Args:
        package: its `__name__`.
        homes: the module that defines each name of its `__all__`.
    """
    module = sys.modules[package]
    module.__class__ = _Package

    def look_up(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        value = getattr(import_module(homes[name]), name)
        vars(module)[name] = value
        return value

    return look_up, lambda: sorted({*vars(module), *homes})
