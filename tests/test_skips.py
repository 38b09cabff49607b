"""A run says at its end which tests were skipped and why."""

import shutil
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).with_name("conftest.py")
SUITE = """
import pytest


def test_runs():
    assert True


@pytest.mark.parametrize("number", [1, 2])
def test_needs_golden(golden, number):
    assert golden.is_dir()
"""


def test_skips_end_in_one_table_with_their_reasons(tmp_path: Path) -> None:
    folder = tmp_path / "clone" / "tests"
    folder.mkdir(parents=True)
    shutil.copy(CONFTEST, folder)
    (folder / "test_some.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CONFTEST.parent.parent)}
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=False).stdout
    _, table = shown.split("skipped tests", 1)
    assert "1 passed, 2 skipped" in table
    assert "   2 no golden vectors at" in table
    assert "        2 test_some.py" in table
    environment["CI"] = "true"
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=False).stdout
    assert "2 failed" in shown or "2 errors" in shown, "in CI a missing golden folder is a failure"
