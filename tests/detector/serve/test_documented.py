"""The lines of curl in the documentation do what the page says."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import ROOT
from tests.support.detecting import command, run
from tests.support.serving import Running, png, serving, tiny_settings

PAGE = (ROOT / "docs" / "how-to" / "serve.md").read_text()
LINES = re.findall(r"^(curl .*http://127\.0\.0\.1:8000\S*)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def documented(home: Path) -> Iterator[Running]:
    (home / "camera").mkdir()
    (home / "camera" / "1.png").write_bytes(png())
    assert (
        run(["watch", str(home / "camera"), "--out", str(home / "results"), "--once", *command(home)[2:]]).exit_code
        == 0
    )
    with serving(tiny_settings(home, descriptions_dir=None, watched=(home / "results",))) as running:
        for number, name in enumerate(("photo", "other", "good1", "good2")):
            (home / f"{name}.png").write_bytes(png(number))
        yield running


def test_the_page_shows_curl() -> None:
    assert len(LINES) >= 10
    assert shutil.which("curl"), "the lines of the page are run with curl"


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_line_of_curl_is_answered(line: str, documented: Running, home: Path) -> None:
    typed = line.replace("http://127.0.0.1:8000", documented.url).replace("curl -s", "curl -s --fail-with-body")
    done = subprocess.run(["bash", "-c", typed], cwd=home, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    if "-o " in line:
        assert (home / line.split("-o ")[1].split()[0]).stat().st_size > 1000
    elif "metrics" not in line:
        assert json.loads(done.stdout)
