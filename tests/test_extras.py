"""Every command, in an environment that holds the default install only: it works, or one line says what to install."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from descriptions.common.extras import EXTRAS
from detector.cli.app import app as detector_app
from prompt_forge.cli.app import app as prompt_forge_app
from tests.support.environment import DefaultInstall, closure

PICTURE = "pictures/capsule/test/cracked/000.png"
REFERENCES = " ".join(f"pictures/capsule/train/good/{index:03}.png" for index in range(3))
ARGUMENTS = {
    "detector data boxes": "--data pictures --out boxes.json --caption capsule",
    "detector data check": "pictures",
    "detector data convert": "pictures --out list.csv",
    "detector data fetch": "textile --out fetched",  # without --yes nothing is fetched
    "detector data sample": "more",
    "detector data summary": "pictures",
    "detector describe": f"{PICTURE} --category capsule",
    "detector detect": f"{PICTURE} --category capsule",
    "detector doctor": "",
    "detector eval": "--data pictures --category capsule --no-contributions --out compared",
    "detector export": f"capsule.onnx --category capsule --reference {PICTURE}",
    "detector ground": f"{PICTURE} crack --object capsule",
    "detector import-checkpoint": "missing.pth --out imported.safetensors",
    "detector measure": "--data pictures --category capsule",
    "detector references build": f"{REFERENCES} --category capsule --out kept.refs.safetensors",
    "detector references add": "kept.refs.safetensors pictures/capsule/train/good/003.png",
    "detector references check": "kept.refs.safetensors",
    "detector references remove": "kept.refs.safetensors 000.png",
    "detector references show": "kept.refs.safetensors",
    "detector serve": "--no-browser",
    "detector train": "--data pictures --split test --out trained",
    "detector watch": "pictures --category capsule --out watched --once",
    "prompt-forge copy": "capsule",
    "prompt-forge diff": "capsule@1 capsule@2",
    "prompt-forge doctor": "",
    "prompt-forge edit": "capsule",
    "prompt-forge export": "capsule",
    "prompt-forge generate": "--category capsule",
    "prompt-forge improve": "capsule --data pictures --rounds 1 --model none",
    "prompt-forge import-filo": "nowhere",
    "prompt-forge label": "capsule@1 checked",
    "prompt-forge lint": "capsule",
    "prompt-forge list": "",
    "prompt-forge log": "",
    "prompt-forge prune": "capsule",
    "prompt-forge rename": "capsule gel",
    "prompt-forge review": "capsule",
    "prompt-forge rollback": "capsule",
    "prompt-forge schema": "",
    "prompt-forge setup": "--help",  # without it, it would install what is missing
    "prompt-forge show": "capsule",
    "prompt-forge templates check": "",
    "prompt-forge templates list": "",
    "prompt-forge templates new": "mine",
    "prompt-forge templates show": "filo-question",
}
NEEDED = {
    "detector serve": "pip install 'filo-forge[serve]'",
    "detector watch": "pip install 'filo-forge[serve]'",
    "detector train": "pip install 'filo-forge[train]'",
    "detector export": "pip install 'filo-forge[onnx]'",
    "prompt-forge doctor": "prompt-forge setup",
    "prompt-forge generate": "prompt-forge setup",
}
"""What a command that cannot work without an extra tells people to type."""


def names(command: Any, path: str) -> Iterator[str]:
    if hasattr(command, "commands"):  # a group of click, or of the click that typer carries
        for name, below in command.commands.items():
            yield from names(below, f"{path} {name}")
    else:
        yield path


ALL = [
    *names(typer.main.get_command(detector_app), "detector"),
    *names(typer.main.get_command(prompt_forge_app), "prompt-forge"),
]


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> DefaultInstall:
    return DefaultInstall(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, install: DefaultInstall) -> Path:
    folder = tmp_path_factory.mktemp("work")
    done = install.run("detector", ["data", "sample", "pictures"], folder)
    assert done.returncode == 0, done.stderr
    for photos in (folder / "pictures").glob("capsule/*/*"):
        for surplus in sorted(photos.glob("*.png"))[4:]:  # what is asked here needs no more
            surplus.unlink()
    return folder


def test_the_environment_lacks_every_extra(install: DefaultInstall) -> None:
    assert not [module for module in EXTRAS if (install.site / module).exists()]
    assert (install.site / "torch").exists()
    assert "lightning-fabric" in closure("filo-forge", ["train"])


def test_every_command_is_tried() -> None:
    assert sorted(ARGUMENTS) == sorted(ALL)


@pytest.mark.parametrize("command", ARGUMENTS)
def test_without_extras_a_command_works_or_says_what_to_install(
    command: str, install: DefaultInstall, work: Path
) -> None:
    script, *path = command.split()
    done = install.run(script, [*path, *ARGUMENTS[command].split()], work)
    said = done.stderr
    assert "Traceback" not in said
    assert "Error:" not in said  # the name of an exception class
    if needed := NEEDED.get(command):
        assert done.returncode != 0
        lines = [line for line in (said + done.stdout).splitlines() if needed in line]
        assert lines
        assert all("not installed" in line for line in lines)
    else:
        assert "not installed" not in said
        assert done.returncode in (0, 1, 2)
        assert done.returncode == 0 or (said + done.stdout).strip()


def test_prompt_forge_works_without_torch(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install = DefaultInstall(site, without=("torch", "torchvision", "open-clip-torch", "transformers", "timm"))
    assert not (site / "torch").exists()
    for arguments in (["list"], ["lint", "capsule"], ["generate", "--category", "capsule", "--dry-run"]):
        done = install.run("prompt-forge", arguments, tmp_path)
        assert done.returncode == 0, done.stderr
    done = install.run("detector", ["--help"], tmp_path)
    assert done.returncode == 0, done.stderr
