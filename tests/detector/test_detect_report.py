"""The page of `detector detect`."""

import json

import pytest

from detector.detect import Failure
from tests.support.detecting import command, make_workplace, row_of, run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("home"))


def test_output_folder(home, tmp_path):
    out = tmp_path / "run"
    assert run(command(home, "--out", str(out))).exit_code == 0
    document = json.loads((out / "results.json").read_text())
    assert all((out / row["heatmap"]).is_file() for row in document["images"])
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 12
    assert "http" not in page
    assert page.count("<article ") == page.count("data-score=") == 12
    assert page.count('stroke-opacity=".6"') == 12
    assert 'name="show" value="anomalous"' in page
    assert "rust &lt;b&gt;stains&lt;/b&gt;" in page
    assert len((out / "results.csv").read_text().splitlines()) == 13
    assert not list(out.rglob("*.part"))


def test_the_report_says_who_is_good_and_where_the_threshold_lies(home, tmp_path):
    run(command(home, "--out", str(tmp_path), "--threshold", "-9"))
    page = (tmp_path / "report.html").read_text()
    assert page.count('<b class="anomalous">anomalous</b>') == 12
    assert "threshold -9.000</text>" in page
    assert "12 images, 12 anomalous, 0 failed" in page
    run([*command(home, "--out", str(tmp_path / "one"), photos="photos/00.png")])
    page = (tmp_path / "one" / "report.html").read_text()
    assert "1 images, no verdicts (no threshold)" in page
    assert "<svg" not in page


def test_page_without_pictures(tmp_path, monkeypatch):
    from detector import report_detect

    monkeypatch.setattr(report_detect, "MAX_PICTURES", 1)
    row = row_of(heatmap="gone.png")
    report_detect.write_html(tmp_path / "r.html", [row, row], [Failure("y", "y is <empty>")], {"title": "t", "n": None})
    page = (tmp_path / "r.html").read_text()
    assert "1 more are in" in page
    assert "y is &lt;empty&gt;" in page
