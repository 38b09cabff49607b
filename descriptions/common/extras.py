"""Optional packages: which extra installs which module, and one line for anyone without it.

ForgeError
+-- MissingExtraError   a command needs a package that the default install does not bring
"""

from importlib.util import find_spec

from descriptions.common.errors import ForgeError

EXTRAS = {
    "fastapi": "serve",
    "httpx": "serve",
    "lightning_fabric": "train",
    "tensorboard": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "openvino": "openvino",
    "paho": "mqtt",
    "prometheus_client": "serve",
    "python_multipart": "serve",
    "ray": "ray",
    "uvicorn": "serve",
    "watchfiles": "serve",
    "xllamacpp": "local",
}
"""Extra of the distribution by top-level module."""


class MissingExtraError(ForgeError):
    """A command needs a package that the default install does not bring."""

    def __init__(self, what: str, module: str) -> None:
        super().__init__(f"{what} needs {module}, which is not installed", hint=f"type: {install(module)}")


def install(module: str) -> str:
    """The command that installs an optional module."""
    return f"pip install 'filo-forge[{EXTRAS[module]}]'"


def missing(*modules: str) -> str | None:
    """The first of `modules` that is not installed; found without importing any."""
    return next((module for module in modules if find_spec(module) is None), None)


def require(what: str, *modules: str) -> None:
    """Stop before any work where a module is missing.

    Args:
        what: the command or option, as a person types it.
        modules: keys of `EXTRAS`.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    if module := missing(*modules):
        raise MissingExtraError(what, module)
