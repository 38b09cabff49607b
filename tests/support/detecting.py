"""A small workplace for `detector detect`: a library, a tiny checkpoint and photos."""

from pathlib import Path
from typing import Any

import numpy as np
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from descriptions.common.errors import ForgeError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.cli.app import app
from detector.scoring.predictor import Predictor
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import tiny_filo


def make_workplace(folder: Path, photos: int = 12) -> Path:
    """`library/` with gear@1, `tiny.safetensors`, and `photos/00.png` to `photos/11.png`."""
    anomalies = (Anomaly(id="tooth", text="broken tooth"), Anomaly(id="rust", text="rust <b>stains</b>"))
    Store(folder / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(tiny_filo(), folder / "tiny.safetensors", whole=True)
    (folder / "photos").mkdir()
    for number in range(photos):
        values = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / "photos" / f"{number:02}.png")
    return folder


def command(home: Path, *extra: str, photos: str = "photos") -> list[str]:
    """The words of a `detect` in that workplace."""
    base = ["detect", str(home / photos), "--category", "gear", "--descriptions-dir", str(home / "library")]
    return [*base, "--checkpoint", str(home / "tiny.safetensors"), "--device", "cpu", *extra]


def run(arguments: list[str]) -> Result:
    """What the command line does with them; refusals come as the exceptions they are."""
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, ForgeError):
        raise result.exception
    return result


def count_scored(monkeypatch: Any) -> list[int]:
    """Number of pictures of each call of the predictor, from now on."""
    counts: list[int] = []
    original = Predictor.predict

    def predict(self: Predictor, pictures: Any, asks: Any) -> Any:
        counts.append(len(pictures))
        return original(self, pictures, asks)

    monkeypatch.setattr(Predictor, "predict", predict)
    return counts


def row_of(path: str = "x", score: float = 0.5, **change: Any) -> dict[str, Any]:
    """A row of results without verdict, boxes or descriptions."""
    empty: dict[str, Any] = {"boxes": [], "descriptions": [], "heatmap": None, "verdict": None, "region": None}
    return {"path": path, "score": score, **empty, **change}
