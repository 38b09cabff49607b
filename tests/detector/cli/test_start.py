"""A command imports what it needs: counted in modules, since the time depends on the machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detector.data.sample_set import write_sample_set
from detector.model.config import ModelConfig
from detector.weights.factory import BackboneError, resolve
from tests.support.console import ROOT

HEAVY = {
    "groundingdino", "lightning", "matplotlib", "onnxruntime", "open_clip", "pandas", "sklearn",
    "sympy", "timm", "torch", "torch._dynamo", "torch._inductor", "transformers", "uvicorn",
}  # fmt: skip
"""Each takes a tenth of a second or more."""
MODEL = {"torch", "open_clip"}
COMMANDS = {
    "detector detect --help": set(),
    "detector data check {data}": set(),
    "detector doctor": MODEL,
    "detector detect {photo} --category capsule --out detected --references {good}": MODEL,
    "detector eval --data {data} --category capsule --no-contributions --out x": MODEL | {"matplotlib", "pandas"},
    "prompt-forge lint capsule": set(),
}  # fmt: skip
PROGRAM = """
import json, sys
from {package}.cli.app import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=open({listed!r}, "w"))
"""


def imported(program: str, arguments: list[str], folder: Path) -> set[str]:
    """The heavy modules that a command imports."""
    listed = folder / "modules.json"
    code = PROGRAM.format(package=program.replace("-", "_"), listed=str(listed))
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return HEAVY & set(json.loads(listed.read_text()))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    data = write_sample_set(tmp_path_factory.mktemp("start"), good=2, bad=1, side=96).parent
    photo = min((data / "capsule" / "test").rglob("*.png"))
    return {"data": str(data), "photo": str(photo), "good": str(data / "capsule" / "train" / "good" / "000.png")}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_imports_what_it_needs_and_no_more(line: str, places: dict[str, str], tmp_path: Path) -> None:
    program, *arguments = line.format(**places).split()
    assert imported(program, arguments, tmp_path) <= COMMANDS[line]


def test_what_was_left_out_can_be_imported_afterwards() -> None:
    program = (
        "from detector.cli.start import start_light; start_light(); import open_clip, sys\n"
        "assert not {'timm', 'transformers', 'torch._dynamo'} & set(sys.modules)\n"
        "import timm, torch, transformers; from torchvision.ops import nms, roi_align\n"
        "boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4.1], [5, 5, 9, 9]])\n"
        "assert nms(boxes, torch.tensor([0.3, 0.9, 0.5]), 0.5).tolist() == [1, 2]\n"
        "assert roi_align(torch.ones(1, 1, 9, 9), [boxes[:1]], 2).eq(1).all()\n"
        "transformers.AutoTokenizer, timm.create_model, torch._dynamo.config\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr


def test_a_program_that_imports_detector_gets_open_clip_whole() -> None:
    program = "import detector; detector.Detector; import open_clip.hf_model as h; assert h.transformers"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=400)


@pytest.mark.parametrize("backbone", ["coca_ViT-B-32", "roberta-ViT-B-32", "convnext_base"])
def test_towers_of_other_libraries_are_refused(backbone: str) -> None:
    with pytest.raises(BackboneError, match="expected a plain CLIP"):
        resolve(ModelConfig(backbone=backbone))
