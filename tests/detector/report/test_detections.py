"""The page of `detector detect`, parsed."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from detector.detect.detection import Failure
from detector.report.detections import write_detections
from tests.support.detecting import command, make_workplace, row_of, run
from tests.support.page import read_page


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("home"))


def facts_of(page):
    return dict(zip((e.text for e in page.find("dt")), (e.text for e in page.find("dd")), strict=True))


def test_output_folder(home, tmp_path):
    out = tmp_path / "run"
    assert run(command(home, "--out", str(out))).exit_code == 0
    document = json.loads((out / "results.json").read_text())
    assert all((out / row["heatmap"]).is_file() for row in document["images"])
    assert len((out / "results.csv").read_text().splitlines()) == 13
    assert not list(out.rglob("*.part"))
    shutil.move(out, tmp_path / "moved")
    cards = read_page(tmp_path / "moved" / "report.html").find("article")
    ranked = sorted(document["images"], key=lambda row: -row["score"])
    assert [card.attributes["data-name"] for card in cards] == [row["path"] for row in ranked]
    for card in cards:
        (picture,) = card.find("img")
        assert (tmp_path / "moved" / picture.attributes["src"]).is_file(), "the folder moves as a whole"
        assert picture.attributes["loading"] == "lazy"
    assert any("rust <b>stains</b>" in card.text for card in cards)
    assert not read_page(tmp_path / "moved" / "report.html").find("main")[0].find("b")


def test_the_page_says_who_is_good_and_where_the_threshold_lies(home, tmp_path):
    run(command(home, "--out", str(tmp_path), "--threshold", "-9"))
    page = read_page(tmp_path / "report.html")
    assert [item.text for item in page.find("li")[:4]] == ["12 photos", "12 anomalous", "0 good", "0 failed"]
    assert len(page.find("span", klass="badge")) == 12
    (chart,) = page.find("svg", klass="chart")
    assert "threshold -9.000" in chart.text
    assert {radio.attributes["value"] for radio in page.find("input", name="verdict")} == {"", "anomalous", "good"}
    run([*command(home, "--out", str(tmp_path / "one"), photos="photos/00.png")])
    page = read_page(tmp_path / "one" / "report.html")
    assert [item.text for item in page.find("li")[:2]] == ["1 photo", "no verdicts"]
    assert not page.find("svg", klass="chart")
    assert not page.find("input", name="verdict")


def test_the_page_says_how_it_was_made(home, tmp_path):
    run(command(home, "--out", str(tmp_path), "--threshold", "0.4"))
    facts = facts_of(read_page(tmp_path / "report.html"))
    assert facts["Threshold"].startswith("0.4000, as given")
    assert facts["Descriptions"].startswith("gear@1, content ")
    assert facts["Model"].endswith("tiny.safetensors")
    assert {"Date", "Command", "Versions", "Map colours"} <= facts.keys()


def test_facts_are_printed_as_they_come(tmp_path):
    write_detections(tmp_path / "r.html", [], [], {"made_by": "<i>", "missing": None, "threshold": 0.5})
    assert facts_of(read_page(tmp_path / "r.html")) == {"Made by": "<i>", "Threshold": "0.5000"}
    write_detections(tmp_path / "r.html", [], [], {})
    page = read_page(tmp_path / "r.html")
    assert facts_of(page) == {}
    assert page.find("title")[0].text == "Detections"


def test_names_of_all_kinds_are_text_and_find_their_pictures(tmp_path):
    attack = "<script>alert(1)</script>"
    names = ['"><img src=x onerror=alert(1)>', "a#b?c%41.png", "$x^2$", os.fsdecode(b"caf\xe9"), "日本.png", attack]
    rows = []
    (tmp_path / "maps").mkdir()
    for number, name in enumerate(names):
        picture = f"maps/{number}#%41?.png"
        Image.new("RGB", (4, 4)).save(tmp_path / picture)
        near = [{"text": f"near {name}", "similarity": 0.5}]
        rows.append(row_of(f"{attack}/{number}/{name}", number / 10, heatmap=picture, descriptions=near))
    write_detections(tmp_path / "r.html", rows, [Failure("y", f"y is {attack}")], {"title": attack, attack: attack})
    page = read_page(tmp_path / "r.html")
    assert len(page.find("script")) == 1
    assert page.find("h1")[0].text == page.find("title")[0].text == attack
    shown = [card.find("h2")[0].text for card in page.find("article")]
    assert shown == [r"script>", "日本.png", r"caf\udce9", "$x^2$", "a#b?c%41.png", names[0]]
    assert not [e for e in page.find("img") if "onerror" in e.attributes]
    assert [e.attributes["src"] for e in page.find("article")[0].find("img")] == ["maps/5%23%2541%3F.png"]
    assert f"y is {attack}" in page.find("section", klass="failures")[0].text


def test_pictures_that_have_gone(tmp_path):
    write_detections(tmp_path / "r.html", [row_of(heatmap="gone.png"), row_of()], [], {})
    page = read_page(tmp_path / "r.html")
    assert len(page.find("p", klass="missing")) == 2
    assert not page.find("article")[0].find("img")


def test_folders_and_nearest_descriptions_can_be_chosen(tmp_path):
    near = [[{"text": text, "similarity": 0.5}] for text in ("dent", "crack", "dent")]
    paths = ("in/a/1.png", "in/b/2.png", "in/3.png")
    rows = [row_of(path, descriptions=each) for path, each in zip(paths, near, strict=True)]
    write_detections(tmp_path / "r.html", rows, [], {})
    page = read_page(tmp_path / "r.html")
    picked = {
        select.attributes["name"]: [option.attributes["value"] for option in select.find("option")]
        for select in page.find("select")
    }
    assert picked["folder"] == ["", "a", "b"]
    assert picked["phrase"] == ["", "crack", "dent"]
    assert {card.attributes["data-folder"] for card in page.find("article")} == {"a", "b", ""}


def test_the_page_asks_nobody_for_anything(tmp_path):
    write_detections(tmp_path / "r.html", [row_of(), row_of("y", 0.1)], [], {"threshold": 0.2})
    page = read_page(tmp_path / "r.html")
    (policy,) = [e for e in page.find("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attributes["content"].startswith("default-src 'none'; ")
    pending = [page]
    while pending:
        element = pending.pop()
        pending += [child for child in element.children if not isinstance(child, str)]
        assert not [name for name in element.attributes if name.startswith("on")]
        assert not [v for n, v in element.attributes.items() if n in ("src", "href") and "//" in v]


def test_no_markup_stands_in_python():
    root = Path(sys.modules["detector"].__file__).parent
    markup = re.compile(r"</\w+>|<(?:div|span|p|table|td|tr|li|img|svg|path|html|h[1-6]|script|style)[ >]")
    assert [str(path) for path in root.rglob("*.py") if markup.search(path.read_text())] == []


def test_the_script_is_short():
    script = Path(sys.modules[write_detections.__module__].__file__).parent / "templates" / "page.js"
    assert len(script.read_text().splitlines()) < 300
