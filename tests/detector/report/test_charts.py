"""Charts: what is drawn stands where its number says, in whole renderings that stay the same."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from detector.metrics.values import Line
from detector.report.charts import MARKS, Band, Effect, Strip, draw_curves, draw_forest, draw_strips, legend

GOLDEN = Path(__file__).parent / "golden_charts"
ATTACK = "<b>$\\frac{x}</b> & 日本 \N{PILE OF POO}"


def strips():
    good, bad = np.linspace(0.1, 0.4, 9), np.linspace(0.35, 0.9, 6)
    return draw_strips([Strip("crack", "anomalous", bad), Strip("good", "good", good)], 0.38, name="strips")


def curves():
    x = np.linspace(0, 1, 5)
    first = Band(Line(x, np.sqrt(x)), x, np.maximum(np.sqrt(x) - 0.1, 0), np.minimum(np.sqrt(x) + 0.1, 1))
    second = Band(Line(x, x), None, None, None)
    return draw_curves([first, second], "false positive rate", "true positive rate", name="curves", title="image ROC")


def forest():
    effects = [
        Effect("broken tooth", 0.02, (0.01, 0.03), "helps"),
        Effect("dent", 0.0, (-0.01, 0.02), "no evidence"),
        Effect("scratch", -0.015, (-0.02, -0.005), "hurts"),
        Effect("no interval", 0.005, None, "no evidence"),
    ]
    return draw_forest(effects, name="forest", title="pixel AP with it minus without it")


DRAWN = {"strips": strips, "curves": curves, "forest": forest}


def rounded(text):
    """Numbers to a tenth of a point, so that another machine's last digits make no difference."""
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", text)


def structure(markup):
    """Every element with its attributes and text; ids that matplotlib hashes from paths count by their order."""
    root, seen = ElementTree.fromstring(markup), {}

    def named(text):
        return re.sub(r"[mpC][0-9a-f]{10}(_0_[0-9a-f]+)?", lambda m: seen.setdefault(m[0], f"id{len(seen)}"), text)

    return [
        " ".join(
            [element.tag, *(f"{k}={rounded(named(v))}" for k, v in sorted(element.attrib.items())), element.text or ""]
        )
        for element in root.iter()
    ]


@pytest.mark.parametrize("name", DRAWN)
def test_charts_are_drawn_as_before(name):
    path = GOLDEN / f"{name}.svg"
    drawn = DRAWN[name]()
    if os.environ.get("FILO_WRITE_GOLDEN"):
        path.write_text(drawn + "\n")
    assert structure(drawn) == structure(path.read_text())


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_chart_has_the_same_bytes_and_no_date(name):
    first = DRAWN[name]()
    assert first == DRAWN[name]()
    assert "202" not in re.sub(r"\d*\.\d+|[0-9a-f]{8,}", "", first)
    assert all(f"{name}-" in identifier for identifier in re.findall(r' id="([^"]*)"', first))
    assert set(re.findall(r"#[0-9a-f]{6}\b", first)) == set(), "the page decides every colour"
    assert "font-family" not in first


def texts(markup):
    return [element.text for element in ElementTree.fromstring(markup).iter("text")]


def points(element):
    return [tuple(map(float, pair)) for pair in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", element.get("d"))]


def below(markup, gid):
    """The group whose id ends so."""
    return next(e for e in ElementTree.fromstring(markup).iter("g") if e.get("id", "").endswith(gid))


def test_marks_stand_where_their_scores_are():
    scores = [0.0, 0.25, 1.0]
    drawn = draw_strips([Strip("good", "good", scores)], 0.5, name="s")
    marks = [float(use.get("x")) for use in below(drawn, "PathCollection_1").iter("use")]
    assert (marks[1] - marks[0]) / (marks[2] - marks[0]) == pytest.approx(0.25, abs=1e-4)
    lines = [
        points(path) for path in ElementTree.fromstring(drawn).iter("path") if "dasharray" in path.get("style", "")
    ]
    assert (lines[0][0][0] - marks[0]) / (marks[2] - marks[0]) == pytest.approx(0.5, abs=1e-4)
    assert "threshold 0.500" in texts(drawn)


def test_thousands_of_scores_stay_a_small_picture_with_both_ends():
    drawn = draw_strips([Strip("good", "good", np.linspace(0, 1, 50_000))], None, name="s")
    marks = [float(use.get("x")) for use in below(drawn, "PathCollection_1").iter("use")]
    assert len(marks) == MARKS
    assert "good (50000)" in texts(drawn)
    few = draw_strips([Strip("good", "good", [0.0, 1.0])], None, name="s")
    ends = [float(use.get("x")) for use in below(few, "PathCollection_1").iter("use")]
    assert [min(marks), max(marks)] == pytest.approx(ends)


def test_equal_scores_and_single_scores_can_be_drawn():
    for scores in ([0.3], [0.3] * 5):
        assert "<svg" in draw_strips([Strip("good", "good", scores)], None, name="s")
    assert "<svg" in draw_forest([Effect("dent", None, None, "no evidence")], name="f", title="pixel AP")


def test_intervals_reach_as_far_as_they_say():
    drawn = draw_forest(
        [Effect("a", 0.02, (0.01, 0.04), "helps"), Effect("b", -0.02, None, "hurts")], name="f", title="t"
    )
    root = ElementTree.fromstring(drawn)
    zero = next(points(p) for p in root.iter("path") if len(points(p)) == 2 and "--muted" in p.get("style", ""))[0][0]
    low, high = (x for x, _ in next(points(p) for p in root.iter("path") if "--good" in p.get("style", "")))
    assert (low - zero) / (high - zero) == pytest.approx(0.25, abs=1e-3)


def test_names_are_neither_formulas_nor_markup_and_long_ones_keep_a_tooltip():
    drawn = draw_strips([Strip(ATTACK, "good", [0.1, 0.2])], None, name="s")
    assert f"{ATTACK} (2)" in texts(drawn)
    long = "a very long description of a defect that nobody could ever fit into a chart"
    drawn = draw_forest([Effect(long, 0.1, (0.0, 0.2), "helps"), Effect(ATTACK, 0.0, None, "")], name="f", title="t")
    assert ATTACK in texts(drawn)
    assert long not in texts(drawn)
    assert [title.text for title in ElementTree.fromstring(drawn).iter("title")] == [long]


def test_series_differ_without_colour():
    keys = legend([str(number) for number in range(5)])
    assert len({key.dashes for key in keys}) == 5
    everything = legend([str(number) for number in range(40)])
    assert len({(key.colour, key.dashes) for key in everything}) == 40


def test_a_users_style_changes_nothing(tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 40\nsvg.fonttype: path\naxes.facecolor: red\n")
    code = """
import sys
from detector.report.charts import Effect, draw_forest
print(draw_forest([Effect("dent", 0.1, (0.0, 0.2), "helps")], name="f", title="t"), end="")
assert "torch" not in sys.modules, "a chart needs no model"
"""
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == draw_forest([Effect("dent", 0.1, (0.0, 0.2), "helps")], name="f", title="t")


def test_matplotlib_is_loaded_only_when_something_is_drawn():
    code = "import sys, detector.report.detections, detector.report.evaluation; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
