"""An evaluation says what makes its numbers wrong: lost and inverted masks, and values of unusual range."""

import numpy as np
import pytest
from PIL import Image

from detector.data import open_data
from detector.evaluate.comparison import Plan
from detector.evaluate.scorer import Scorer
from detector.images.load import ReadOptions
from detector.runs.evaluate import evaluate
from detector.scoring.predictor import Predictor
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.evaluation import make_store


@pytest.mark.parametrize("bits", [None, 12])
def test_an_evaluation_says_what_makes_its_numbers_wrong(tmp_path, bits):
    root = make_dataset(tmp_path / "data", ("gear",), good=2, bad=2, train=0, size=32)
    truth = root / "gear" / "ground_truth"
    for path in sorted(truth.rglob("*.png")):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    (truth / "hole" / "001_mask.png").rename(truth / "hole" / "lost.png")
    for path in sorted((root / "gear/test/good").iterdir()):
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16) * 16).save(path)
    scorer = Scorer(Predictor(tiny_filo(), device="cpu", reading=ReadOptions(bits)), False)
    plan = Plan(open_data(root), make_store(tmp_path / "library"), ("gear@1",), tmp_path / "out", draws=2)
    said = "\n".join(evaluate(plan, scorer).warnings)
    assert "gear: 3 of 3 masks cover more than half of their picture; are they inverted" in said
    assert f"{truth}/hole: 1 mask(s) belong to no image, such as lost.png" in said
    assert (f"{root}/gear/test/good: 16-bit files with 12-bit values" in said) is (bits is None)
