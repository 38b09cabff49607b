"""What the pre-commit hook and the GitHub Action run refuses bad description files in words a person can use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from detector.data.sample_set import write_sample_set

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
    assert words in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [hook(), SCRIPT], ids=["hook", "action"])
def test_a_good_library_passes(command: list[str], tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = call(command, library(tmp_path, GOOD), GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert command != SCRIPT or "clean" in summary.read_text()


def test_an_old_version_with_errors_is_refused_too(tmp_path: Path) -> None:
    """The one a label points at may not be the latest."""
    folder = library(tmp_path, BAD["not visible"][0])
    (folder / "descriptions" / "capsule" / "v2.yaml").write_text(GOOD.replace("object_name", "version: 2\nobject_name"))
    done = call(hook(), folder)
    assert done.returncode
    assert "capsule@1" in done.stdout


@pytest.mark.slow
def test_the_action_compares_versions_in_the_summary(tmp_path: Path) -> None:
    write_sample_set(tmp_path / "images", good=2, bad=1, side=64)
    summary = tmp_path / "summary.md"
    settings = {"DATA": "images", "VERSIONS": "capsule@1 capsule", "GITHUB_STEP_SUMMARY": str(summary)}
    done = call(SCRIPT, library(tmp_path, GOOD), **settings, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "capsule@1" in summary.read_text()
    assert "winclip" in summary.read_text()


def test_the_action_wants_versions_with_data(tmp_path: Path) -> None:
    done = call(SCRIPT, library(tmp_path, GOOD), DATA="images", VERSIONS="")
    assert done.returncode
    assert 'VERSIONS="capsule@1 capsule@2"' in done.stderr


def test_the_action_file_names_what_exists() -> None:
    action = YAML(typ="safe").load((ROOT / "action.yml").read_text())
    script = action["runs"]["steps"][1]["run"].split("/", 1)[1].rstrip('"')
    assert (ROOT / script).is_file()
    assert set(action["inputs"]) == {"descriptions-dir", "strict", "data", "versions"}
