"""What the command line leaves out when it starts: parts of open_clip's imports that no command uses.

`import open_clip` brings transformers and timm, for towers that FiLo does not read, and through torchvision PyTorch's
compiler: three quarters of its time. A program that imports `detector` gets open_clip whole, since it may use the rest.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_LIBRARY = "open_clip"
_OPTIONAL = ("transformers", "timm")
"""Libraries without which open_clip works, and says so where it would need them."""
_COMPILER = "torch._dynamo"


def start_light() -> None:
    """From now on, `import open_clip` takes in this process only what commands need."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None = None, _: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == _LIBRARY else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self.inner.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        with _set_aside():
            self.inner.exec_module(module)


@contextmanager
def _set_aside() -> Iterator[None]:
    """Optional libraries cannot be imported, and the compiler is a name whose question is answered when it is asked."""
    placeholders: dict[str, ModuleType | None] = dict.fromkeys(_OPTIONAL)
    package, utils = ModuleType(_COMPILER), ModuleType(f"{_COMPILER}.utils")
    utils.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    placeholders |= {package.__name__: package, utils.__name__: utils}
    placeholders = {name: module for name, module in placeholders.items() if name not in sys.modules}
    sys.modules.update(placeholders)  # type: ignore[arg-type]  # None says that there is no such module
    try:
        yield
    finally:
        for name in placeholders:
            del sys.modules[name]


def _is_compile_supported(*arguments: Any) -> bool:
    """What torchvision takes from the compiler when it is imported."""
    from torch._dynamo.utils import is_compile_supported

    return bool(is_compile_supported(*arguments))
