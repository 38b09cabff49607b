"""What people import: exactly these names, each where it says, and nothing heavy before one of them is used."""

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.console import ROOT

PUBLIC = {
    "descriptions": {"Anomaly", "DescriptionFile", "ForgeError", "Store", "diff", "lint"},
    "detector": {
        "Bank", "Box", "Detection", "Detector", "DetectorError", "Failure", "Grounder", "Grounding", "Match",
        "ScoringSettings", "Threshold", "TrainConfig", "evaluate", "list_presets", "open_data", "train",
    },
    "prompt_forge": {"generate"},
}  # fmt: skip


def fresh(code: str) -> dict[str, object]:
    """What code that ends by printing JSON says in a new Python."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_names_are_these(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) == PUBLIC[package]
    assert len(module.__all__) == len(PUBLIC[package])
    assert PUBLIC[package] <= set(dir(module))
    for name in PUBLIC[package]:
        assert getattr(module, name).__name__ == name
        assert getattr(module, name).__module__.startswith(f"{package}.")
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Detecter'"):
        module.Detecter  # noqa: B018


@pytest.mark.parametrize("name", ["detector.train", "detector.evaluate", "descriptions.lint", "descriptions.diff"])
@pytest.mark.parametrize("first", ["module", "function"])
def test_a_function_is_not_hidden_by_the_module_of_its_name(name: str, first: str) -> None:
    package, _, attribute = name.partition(".")
    imports = [f"import {name}", f"from {package} import {attribute}"]
    lines = imports if first == "module" else imports[::-1]
    code = "; ".join([f"import json, sys, {package}", *lines])
    answer = fresh(
        f"{code}; print(json.dumps([callable({attribute}), {name} is {attribute}, sys.modules[{name!r}].__file__]))"
    )
    assert answer[:2] == [True, True]  # type: ignore[index]


@pytest.mark.parametrize("package", PUBLIC)
def test_importing_a_package_is_cheap(package: str) -> None:
    loaded = fresh(f"import {package}, json, sys; print(json.dumps(sorted(sys.modules)))")
    assert not {"torch", "numpy", "pandas", "PIL", "openai", "pydantic", "typer", "ruamel"} & set(loaded)


def test_importing_detector_takes_a_small_part_of_what_torch_takes() -> None:
    clock = (
        "import json, time; a = time.perf_counter(); import {0}; b = time.perf_counter(); print(json.dumps([b - a]))"
    )
    ours = min(fresh(clock.format("detector"))[0] for _ in range(3))  # type: ignore[index]
    torch = min(fresh(clock.format("torch"))[0] for _ in range(3))  # type: ignore[index]
    assert ours < torch / 5


def test_settings_and_errors_need_no_torch() -> None:
    names = "DetectorError, TrainConfig, list_presets"
    assert not fresh(f"from detector import {names}; import json, sys; print(json.dumps('torch' in sys.modules))")


def imports(source: str) -> set[str]:
    """Modules that Python source imports."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or ".")
    return modules


def sources() -> dict[str, str]:
    """Python that people read first: the notebook, the examples, and the pages with Python on them."""
    cells = json.loads((ROOT / "examples" / "tour.ipynb").read_text())["cells"]
    shown = {"tour.ipynb": "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")}
    shown |= {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py")}
    for path in [Path("docs/how-to/python.md"), Path("README.md")]:
        prompts = re.findall(r"^(?:>>>|\.\.\.) ?(.*)$", (ROOT / path).read_text(), re.MULTILINE)
        shown[path.name] = "\n".join(prompts)
    return shown


@pytest.mark.parametrize("name", sources())
def test_what_people_read_first_imports_public_names_only(name: str) -> None:
    ours = {module for module in imports(sources()[name]) if module.split(".")[0] in PUBLIC}
    assert ours <= PUBLIC.keys()
    assert ours or name == "README.md"
