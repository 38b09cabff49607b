"""The drawn capsules are a data set like any other."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from detector.cli.app import app
from detector.data import open_data
from detector.data.errors import DataError
from detector.data.sample_set import DEFECTS, draw, write_sample_set
from detector.errors import OutputError


def test_every_defect_is_where_its_mask_says() -> None:
    for kind in DEFECTS:
        changed = draw(kind, 96, np.random.default_rng(3))
        clean = draw(None, 96, np.random.default_rng(3))[0]
        mask = np.asarray(changed[1]) > 0
        difference = np.abs(np.asarray(changed[0], float) - np.asarray(clean, float)).mean(axis=2)
        assert 0 < mask.mean() < 0.3
        assert difference[mask].mean() > 3 * difference[~mask].mean()


def test_it_reads_as_an_mvtec_data_set_and_is_reproducible(tmp_path: Path) -> None:
    runner = CliRunner()
    for name in ("a", "b"):
        assert runner.invoke(app, ["data", "sample", str(tmp_path / name), "--side", "48"]).exit_code == 0
    data = open_data(tmp_path / "a")
    assert data.categories == ("capsule",) or list(data.categories) == ["capsule"]
    assert len(data.select(split="test")) == 8 + 3 * len(DEFECTS)
    assert len(data.select(split="train")) == 20
    checked = runner.invoke(app, ["data", "check", str(tmp_path / "a")])
    assert checked.exit_code == 0, checked.output
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png"))
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_it_never_writes_over_anything(tmp_path: Path) -> None:
    write_sample_set(tmp_path, good=1, bad=1, side=32)
    with pytest.raises(DataError, match=r"capsule exists already; expected a new folder"):
        write_sample_set(tmp_path)


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"capsule cannot be written to: .*another folder"):
        write_sample_set(tmp_path / "file", good=1, bad=1, side=32)
