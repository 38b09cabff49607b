"""What the pre-commit hook and the GitHub Action run refuses bad description files in words a person can use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
HEAD = "schema_version: 1\ncategory: capsule\nobject_name: capsule\nanomalies:\n"
GOOD = HEAD + "".join(
    f"  - {{id: a{number}, text: {text}}}\n"
    for number, text in enumerate(
        ["thin dark seam gap", "brown blot on the cap", "dented shell", "missing printed text"]
    )
)
BAD = {
    "unknown key": (HEAD + "  - {id: a, txt: dented shell}\n", "anomalies[0].txt: unknown key; did you mean text?"),
    "not visible": (HEAD + "  - {id: a, text: foul odour}\n", "odour"),
    "broken YAML": (HEAD + "  - {id: a, text: [\n", "v1.yaml: line"),
}


def call(command: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | settings
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def library(folder: Path, content: str) -> Path:
    (folder / "descriptions" / "capsule").mkdir(parents=True)
    (folder / "descriptions" / "capsule" / "v1.yaml").write_text(content)
    return folder


def hook() -> list[str]:
    (entry,) = YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text())
    return str(entry["entry"]).split()


SCRIPT = ["bash", str(ROOT / "tools" / "ci" / "check_descriptions.sh")]


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("command", [hook(), SCRIPT], ids=["hook", "action"])
def test_a_bad_file_is_refused_readably(command: list[str], case: str, tmp_path: Path) -> None:
    content, words = BAD[case]
    done = call(command, library(tmp_path, content))
    assert done.returncode
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [hook(), SCRIPT], ids=["hook", "action"])
def test_a_good_library_passes(command: list[str], tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = call(command, library(tmp_path, GOOD), GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert command != SCRIPT or "clean" in summary.read_text()


def test_the_action_wants_versions_with_data(tmp_path: Path) -> None:
    done = call(SCRIPT, library(tmp_path, GOOD), DATA="images", VERSIONS="")
    assert done.returncode
    assert 'VERSIONS="capsule@1 capsule@2"' in done.stderr


def test_the_action_file_names_what_exists() -> None:
    action = YAML(typ="safe").load((ROOT / "action.yml").read_text())
    script = action["runs"]["steps"][1]["run"].split("/", 1)[1].rstrip('"')
    assert (ROOT / script).is_file()
    assert set(action["inputs"]) == {"descriptions-dir", "strict", "data", "versions"}
