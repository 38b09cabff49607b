"""Shared fixtures: where the golden vectors and the real images are, and what to say when they are not there."""

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from descriptions.common.settings import PREFIX

SHARED = Path(__file__).resolve().parents[2] / "shared"


def golden_dir() -> Path:
    """The folder of golden vectors, or a skip (in CI: a failure) that says in one line why."""
    folder = Path(os.environ.get("FILO_GOLDEN", SHARED / "golden"))
    if (folder / "manifest.json").is_file():
        return folder
    reason = f"no golden vectors at {folder}; set FILO_GOLDEN to a folder with manifest.json"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def golden() -> Path:
    return golden_dir()


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The folder of real data sets (MVTec AD layout below it), or a skip that says why."""
    folder = Path(os.environ.get("FILO_DATA", SHARED / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real images at {folder}; set FILO_DATA to a folder of MVTec-style data sets")
    return folder


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads a user's settings: their folder is the test's own, and variables are forgotten."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which tests were skipped and why, one line per reason; silence would read as a pass."""
    skipped: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        _, _, reason = report.longrepr
        skipped[reason.removeprefix("Skipped: ")].append(report.nodeid.partition("::")[0])
    if not skipped:
        return
    terminalreporter.section("skipped tests")
    for reason, files in sorted(skipped.items()):
        terminalreporter.write_line(f"{len(files):4} {reason}")
        for name in sorted(set(files)):
            terminalreporter.write_line(f"{files.count(name):9} {name}")
