"""The phrase that is unusual for the product names a defect, not the one that is near everything."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.detect.detection import Detection, nearness
from detector.detect.naming import Namer
from detector.scoring.predict import Match
from tests.support.clip import tiny_prompts
from tests.support.detecting import command, make_workplace, run

PROMPTS = tiny_prompts()


def detection(phrases):
    said = tuple(Match(*entry, 0.5) for entry in PROMPTS.anomalies)
    return Detection("a.png", Image.new("RGB", (8, 8)), 1.0, np.zeros((8, 8)), None, (), said, None, phrases)


def test_a_phrase_near_every_patch_does_not_name_the_defect():
    rng = np.random.default_rng(0)
    good = [np.stack([rng.normal(0.3, 0.01, 16), rng.normal(0.1, 0.01, 16)], 1) for _ in range(4)]
    phrases = good[0].copy()
    phrases[5] = 0.3, 0.2  # the first says what it always says
    fused = np.zeros(64)
    fused[[18, 19, 26, 27]] = 9  # patch 5 of 4 x 4, on a grid twice as fine
    first, second = Namer(PROMPTS, good).named(detection(phrases), fused, (8, 8))
    assert first.id == PROMPTS.anomalies[1].id
    assert first.similarity == pytest.approx(0.2)
    assert second.similarity > first.similarity
    assert first.deviations == pytest.approx(10, rel=0.3)
    assert abs(second.deviations) < 1


def test_without_phrases_the_order_stays():
    plain = detection(None)
    assert Namer(PROMPTS, [np.zeros((16, 2))]).named(plain, np.zeros(64), (8, 8)) == plain.matches
    row = plain.to_dict()["descriptions"][0]
    assert set(row) == {"id", "text", "similarity"}
    assert nearness(row) == "0.500"
    assert nearness(row | {"deviations": 2.345}) == "+2.3 dev."


@pytest.mark.parametrize("how", ["references", "together"])
def test_rows_hold_deviations_beside_the_cosine(tmp_path: Path, monkeypatch, how):
    monkeypatch.setenv("COLUMNS", "200")
    home = make_workplace(tmp_path, photos=4)
    context = ("--together",) if how == "together" else ("--references", str(home / "photos"))
    document = json.loads(run(command(home, "--format", "json", *context)).stdout)
    for image in document["images"]:
        far = [entry["deviations"] for entry in image["descriptions"]]
        assert far == sorted(far, reverse=True)
        assert all(-1 <= entry["similarity"] <= 1 for entry in image["descriptions"])
    assert "deviations from good" in " ".join(run(command(home, *context)).stdout.split())
