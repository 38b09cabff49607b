"""The page of `detector detect`, as a parser and a browser see it."""

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest

from detector.detect import Failure
from detector.report import detections
from tests.support.detecting import command, make_workplace, row_of, run


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._silent = False
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._silent = tag in ("style", "script")

    def handle_endtag(self, tag):
        self._silent = False

    def handle_data(self, data):
        if not self._silent:
            self.text += data

    def all(self, tag: str, name: str = "") -> list[dict[str, str | None]]:
        """Attributes of every tag that has the class `name`."""
        return [found for each, found in self.tags if each == tag and name in [*(found.get("class") or "").split(), ""]]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("home"))


def test_output_folder(home, tmp_path):
    out = tmp_path / "run"
    assert run(command(home, "--out", str(out))).exit_code == 0
    document = json.loads((out / "results.json").read_text())
    page = Page(out / "report.html")
    cards = page.all("article")
    scores = sorted((each["score"] for each in document["images"]), reverse=True)
    assert [float(card["data-score"]) for card in cards] == scores
    shown = {image["src"] for image in page.all("img") if image.get("loading") == "lazy"}
    assert shown == {row["heatmap"] for row in document["images"]}
    assert all((out / name).is_file() for name in shown), "pictures are found beside the page, wherever it is moved to"
    assert len(page.all("path", "tick")) == 12
    assert "rust <b>stains</b>" in page.text, "what looks like markup in a description is text"
    assert "12 images: no verdicts" in page.text
    for fact in ("model", "descriptions", "date", "command", "versions", "threshold from", "map colours"):
        assert fact in page.text, fact
    assert "http" not in (out / "report.html").read_text()
    assert len((out / "results.csv").read_text().splitlines()) == 13
    assert not list(out.rglob("*.part"))


def test_the_report_says_who_is_good_and_where_the_threshold_lies(home, tmp_path):
    run(command(home, "--out", str(tmp_path), "--threshold", "-9"))
    page = Page(tmp_path / "report.html")
    assert len(page.all("article", "anomalous")) == 12
    assert "12 images: 12 anomalous 0 good" in page.text
    assert "threshold -9.000" in page.text
    run([*command(home, "--out", str(tmp_path / "one"), photos="photos/00.png")])
    page = Page(tmp_path / "one" / "report.html")
    assert "1 images: no verdicts" in page.text
    assert not page.all("svg")


def test_names_that_need_escaping_and_images_beyond_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(detections, "MOST", 1)
    name = 'maps/50% "a" <b> ü#.png'
    odd = os.fsdecode(b"caf\xe9<script>.png")
    row = row_of(heatmap=name, path=odd)
    detections.write_html(
        tmp_path / "r.html", [row, row], [Failure("y", "y is <empty>")], {"title": "t <i>", "n": None}
    )
    page = Page(tmp_path / "r.html")
    assert "1 more images are in results.csv" in page.text
    assert "failed: y is <empty>" in page.text
    assert r"caf\udce9<script>.png" in page.text
    (image,) = [each for each in page.all("img") if each.get("loading")]
    assert image["src"] == "maps/50%25%20%22a%22%20%3Cb%3E%20%C3%BC%23.png"
    assert len(page.all("script")) == 1
