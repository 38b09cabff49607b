"""Every example does what it shows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from descriptions.store import Store
from detector.data.sample_set import write_sample_set
from tests.support.console import ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample_set(tmp_path_factory.mktemp("examples"), good=2, bad=1, side=96).parent


def script(name: str, *arguments: object, folder: Path) -> Iterator[str]:
    """Run an example in an empty folder and give the lines it prints."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return iter(done.stdout.splitlines())


def test_every_example_is_named_and_tried() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert files == {"compare_versions.py", "demo.sh", "detect.py", "tour.ipynb", "write_description.py"}
    assert not [name for name in files if f"({name})" not in listed]


def test_write_description(tmp_path: Path) -> None:
    lines = list(script("write_description.py", folder=tmp_path))
    assert lines[0] == "saved descriptions/gasket/v1.yaml"
    assert any(line.startswith("error: dust: 'odour' is smell") for line in lines)
    assert lines[-1] == "gasket@2 is now gasket@reviewed; it has 0 findings"
    store = Store(tmp_path / "descriptions")
    assert store.load("gasket@reviewed").parent == 1
    assert "rubber odour" in store.load("gasket@1").enabled_texts


def test_detect(pictures: Path, tmp_path: Path) -> None:
    cracked = pictures / "capsule" / "test" / "cracked" / "000.png"
    lines = list(script("detect.py", cracked, "missing.png", folder=tmp_path))
    assert lines[0].startswith(f"{cracked}: score ")
    assert "hottest at (" in lines[0]
    assert "missing.png" in lines[2]


def test_compare_versions(pictures: Path, tmp_path: Path) -> None:
    lines = list(script("compare_versions.py", pictures, "capsule@1", "capsule@latest", folder=tmp_path))
    assert [line.partition(":")[0] for line in lines[:2]] == ["capsule@1", "capsule@2"]
    assert any(line.startswith("generic: ") for line in lines)
    assert all("image_auroc" in line for line in lines if not line.startswith("note: "))


@pytest.mark.slow
def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not kept; clear them"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    last = notebook.cells[-1].outputs[-1].data["text/plain"]
    assert "aupro" in last
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


def test_the_demo_is_sound() -> None:
    assert os.access(EXAMPLES / "demo.sh", os.X_OK)
    subprocess.run(["bash", "-n", str(EXAMPLES / "demo.sh")], check=True)
