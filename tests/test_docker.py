"""The image recipe as far as it can be checked without Docker: what goes in builds, and what it starts answers."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support.console import ROOT, complaint
from tests.support.mqtt import free_port
from tests.support.serving import wait_until

RECIPE = (ROOT / "docker" / "Dockerfile").read_text()
TOKEN = "a-token-of-the-plant-0123456789"


def listed(instruction: str) -> list[str]:
    """The words of `ENTRYPOINT` or `CMD`."""
    (words,) = re.findall(rf"^{instruction} (\[.*\])$", RECIPE, re.MULTILINE)
    return list(json.loads(words))


def composed() -> dict[str, list[str]]:
    services = YAML(typ="safe").load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    return {name: list(each["command"]) for name, each in services.items()}


@pytest.mark.parametrize("words", [listed("CMD"), *composed().values()], ids=["image", *composed()])
def test_the_commands_of_image_and_composition_exist(words: list[str]) -> None:
    assert complaint([*listed("ENTRYPOINT"), *words]) is None


def status(url: str, token: str = "") -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.slow
def test_what_the_image_is_made_of_builds_and_what_it_starts_answers(tmp_path: Path) -> None:
    kept = re.findall(r"^!(\w[\w.]*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    context = tmp_path / "context"
    context.mkdir()
    for name in kept:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, context / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(context)]
    subprocess.run(build, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    site, data = tmp_path / "site", tmp_path / "data"
    data.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    port = str(free_port())
    (program,), words = listed("ENTRYPOINT"), listed("CMD")
    words[words.index("--port") + 1] = port
    environment = {**os.environ, "PYTHONPATH": str(site), "HOME": str(data), "FILO_FORGE_TOKEN": TOKEN}
    command = [sys.executable, str(site / "bin" / program), *words]
    with subprocess.Popen(command, cwd=data, env=environment, stderr=subprocess.PIPE) as server:
        try:
            wait_until(lambda: status(f"http://127.0.0.1:{port}/readyz") == 200)
            assert status(f"http://127.0.0.1:{port}/v1/models") == 401
            assert status(f"http://127.0.0.1:{port}/v1/models", TOKEN) == 200
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) in (0, -signal.SIGTERM)  # uvicorn passes the signal on once it is done
        finally:
            server.kill()
