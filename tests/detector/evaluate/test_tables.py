"""What `detector eval` prints, whole, at the widths people have; and numbers that can be typed again."""

import doctest

import pytest

from detector.evaluate import shown, tables
from detector.evaluate.shown import change, fraction, in_words, is_certain
from detector.evaluate.summary import CategoryResult, Contribution, VariantResult
from detector.metrics import Metrics
from detector.metrics.compute import METRICS

VARIANT = {
    **{name: value for metric in METRICS for name, value in ((metric, 0.8531), (f"{metric}_interval", (0.8, 0.9014)))},
    "image_auroc": 1.0,
    "image_auroc_interval": (0.95, 1.0),
    "notes": [],
    "control": False,
}
OTHER = {
    **VARIANT,
    **{f"{metric}_difference": -0.0421 for metric in METRICS},
    **{f"{metric}_difference_interval": (-0.08, -0.011) for metric in METRICS},
    "image_ap_difference": 0.0002,
    "image_ap_difference_interval": (0.0001, 0.0004),
    "aupro_difference": 0.01,
    "aupro_difference_interval": (-0.02, 0.05),
    "control": True,
}
LONG = "capsule@1 + 16 references"
DOCUMENT = {
    "categories": {
        "capsule": {"good": 8, "defective": 12, "variants": {"capsule@1": VARIANT, "winclip": OTHER, LONG: OTHER}}
    },
    "mean": {},
}
AT_80 = """\
capsule: 8 good, 12 defective (95 % interval)
┏━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━┓
┃                 ┃      image ┃     image ┃     pixel ┃     pixel ┃           ┃
┃ variant         ┃      auroc ┃        ap ┃     auroc ┃        ap ┃     aupro ┃
┡━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━┩
│ capsule@1       │      1.000 │      .853 │      .853 │      .853 │      .853 │
│                 │ .950-1.000 │ .800-.901 │ .800-.901 │ .800-.901 │ .800-.901 │
│ winclip         │      1.000 │      .853 │      .853 │      .853 │      .853 │
│ (control)       │ .950-1.000 │ .800-.901 │ .800-.901 │ .800-.901 │ .800-.901 │
│ capsule@1 + 16  │      1.000 │      .853 │      .853 │      .853 │      .853 │
│ references      │ .950-1.000 │ .800-.901 │ .800-.901 │ .800-.901 │ .800-.901 │
│ (control)       │            │           │           │           │           │
└─────────────────┴────────────┴───────────┴───────────┴───────────┴───────────┘
difference to capsule@1 (a star: the interval excludes 0)
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━┓
┃                           ┃  image ┃ image ┃  pixel ┃  pixel ┃       ┃
┃ variant                   ┃  auroc ┃    ap ┃  auroc ┃     ap ┃ aupro ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━┩
│ winclip                   │ -.042* │  .000 │ -.042* │ -.042* │ +.010 │
│                           │  -.080 │  .000 │  -.080 │  -.080 │ -.020 │
│                           │  -.011 │  .000 │  -.011 │  -.011 │ +.050 │
│ capsule@1 + 16 references │ -.042* │  .000 │ -.042* │ -.042* │ +.010 │
│                           │  -.080 │  .000 │  -.080 │  -.080 │ -.020 │
│                           │  -.011 │  .000 │  -.011 │  -.011 │ +.050 │
└───────────────────────────┴────────┴───────┴────────┴────────┴───────┘
"""


def contributions() -> CategoryResult:
    texts = ("hairline split running along the whole length of the body", "dent")
    made = tuple(
        Contribution(f"long-split-{index}", text, verdict, 0.0123, (0.001, 0.02), -0.0004, (-0.001, 0.001))
        for index, (text, verdict) in enumerate(zip(texts, ("no evidence", "helps"), strict=True))
    )
    empty = Metrics(dict.fromkeys(METRICS), ())
    variant = VariantResult("capsule@1", False, "capsule@1", "0", empty, {}, {}, (), made, {})
    return CategoryResult("capsule", (), (variant,), "")


@pytest.mark.parametrize("width", [80, 120, 200])
def test_tables_are_whole_at_every_width(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    tables.print_tables(DOCUMENT)
    tables.print_contributions([contributions()])
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert all(len(line) <= width for line in lines if "against" not in line)
    for word in ("no evidence", "helps", ".950-1.000", "-.080", "-.011", "long-split-0", "+.012", "winclip against"):
        assert word in printed, word
    folded = [line.split("│")[2].strip() for line in lines if line.count("│") == 6 and "long" in line]
    assert any("hairline" in text for text in folded)


def test_the_rendering_at_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    tables.print_tables(DOCUMENT)
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) + "\n"
    assert printed.startswith(AT_80)
    assert printed.endswith(
        f"{LONG} against capsule@1: worse in image AUROC, image F1-max, pixel AUROC, pixel AP,"
        " pixel F1-max, AUPRO legacy\n"
    )


def test_examples_in_the_docstrings():
    assert doctest.testmod(shown).failed == 0


@pytest.mark.parametrize("value", [0.0, 0.0004, 0.5, 0.9996, 1.0, 0.12345])
def test_what_is_shown_can_be_typed(value):
    assert float(fraction(value)) == pytest.approx(value, abs=0.0005)


def test_a_difference_that_rounds_to_zero_has_no_star_and_no_words():
    assert "*" not in change(0.0004, (0.0001, 0.0008))
    assert not is_certain(-0.0001, (-0.0002, -0.00005))
    assert is_certain(-0.002, (-0.003, -0.001))
    assert not is_certain(-0.002, (-0.003, 0.001))
    cells = [(0.0004, (0.0001, 0.0008))] * len(METRICS)
    assert in_words("a", "b", cells) == "b against a: no evidence of a difference"
