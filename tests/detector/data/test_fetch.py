"""`detector data fetch`, with the real pip and small packages of the same layout."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from descriptions.common.errors import ForgeError
from detector.cli.app import app
from detector.data import open_data
from detector.data.fetch import LICENCE, PACKAGES, FetchError
from detector.errors import OutputError


def picture(form):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(stream, form)
    return stream.getvalue()


def wheel(folder, name, files, licence=True):
    """A package as pip wants it, which would also leave a trace if it were run or installed where it should not be."""
    package, version = name.split("==")
    stem = f"{package.replace('-', '_')}-{version}"
    meta = {f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    requires = "Requires-Dist: no-such-package-anywhere\n"
    meta[f"{stem}.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n{requires}"
    if licence:
        meta[f"{stem}.dist-info/licenses/LICENSE"] = "Do as you like.\n"
    whole = files | meta
    record = f"{stem}.dist-info/RECORD"
    meta[record] = "".join(f"{path},,\n" for path in [*whole, record])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, content in (files | meta).items():
            archive.writestr(path, content)


def textile(good=6, bad=2):
    root = "conformal_clip_data/data/textile_images/simulated"
    names = [f"{root}/nominal/{i}.jpg" for i in range(good)]
    names += [f"{root}/{kind}/{i}.jpg" for kind in ("local", "global") for i in range(bad)]
    return dict.fromkeys(names, picture("JPEG"))


def solar():
    rows = [("1", "0.0", "mono"), ("2", "0.0", "mono"), ("3", "1.0", "mono"), ("4", "0.3333333333333333", "mono"),
            ("5", "0.0", "poly"), ("6", "0.6666666666666666", "poly"), ("7", "1.0", "poly")]  # fmt: skip
    labels = "".join(f"images/cell{name}.png  {p}   {kind}\n" for name, p, kind in rows)
    cells = {f"elpv_dataset/data/images/cell{name}.png": picture("PNG") for name, _, _ in rows}
    return {"elpv_dataset/data/labels.csv": labels, **cells}


@pytest.fixture
def index(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "index"


def fetch(*words, answer=None):
    done = CliRunner().invoke(app, ["data", "fetch", *map(str, words)], input=answer)
    if isinstance(done.exception, ForgeError):
        raise done.exception
    return done


def test_textile_becomes_a_data_set(index, tmp_path):
    wheel(index, PACKAGES["textile"].requirement, textile())
    done = fetch("textile", "--yes")
    assert "MIT" in done.stderr
    assert "--category fabric" in done.stderr
    assert "wrote textile: fabric 10 photos" in done.stdout
    data = open_data(tmp_path / "textile")
    assert data.categories == ("fabric",)
    assert data.defects("fabric") == ("global", "local")
    assert [len(data.select(split=split)) for split in ("train", "test")] == [3, 7]
    assert not any(sample.defective for sample in data.select(split="train"))
    assert (tmp_path / "textile" / LICENCE).read_text() == "Do as you like.\n"
    again = fetch("textile", "--yes", "--out", "again")
    assert again.exit_code == 0
    names = [
        sorted(path.name for path in (tmp_path / each / "fabric/train/good").iterdir()) for each in ("textile", "again")
    ]
    assert names[0] == names[1], "drawn by a seed"
    assert subprocess.run([sys.executable, "-c", "import conformal_clip_data"], capture_output=True).returncode
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "no half of a folder stays"


def test_solar_cells_of_certain_label_only(index, tmp_path):
    wheel(index, PACKAGES["solar"].requirement, solar())
    (tmp_path / "cells").mkdir()
    fetch("solar", "--yes", "--out", tmp_path / "cells")
    data = open_data(tmp_path / "cells")
    assert data.categories == ("monocrystalline", "polycrystalline")
    kept = {sample.image.stem: sample.defect if sample.defective else "good" for sample in data.samples}
    assert kept == {"cell1": "good", "cell2": "good", "cell3": "defective", "cell5": "good", "cell7": "defective"}


def test_the_licence_is_agreed_to_first(index, tmp_path):
    wheel(index, PACKAGES["solar"].requirement, solar())
    with pytest.raises(FetchError, match=r"nobody is there to agree to the licence.*type --yes"):
        fetch("solar", answer="y\n")  # a pipe is no person
    assert not (tmp_path / "solar").exists()


@pytest.mark.parametrize("package", [None, "other", "no licence", "no good", "bad labels"])
def test_what_cannot_be_fetched_is_one_line_and_leaves_nothing(index, tmp_path, package):
    name = PACKAGES["solar"].requirement
    index.mkdir()
    if package == "other":
        wheel(index, name, {"elpv_dataset/__init__.py": ""})
    elif package == "no licence":
        wheel(index, name, solar(), licence=False)
    elif package == "no good":
        wheel(index, name, solar() | {"elpv_dataset/data/labels.csv": "images/cell3.png 1.0 mono\n"})
    elif package == "bad labels":
        wheel(index, name, solar() | {"elpv_dataset/data/labels.csv": "cell3,1.0\n"})
    with pytest.raises(FetchError) as refused:
        fetch("solar", "--yes")
    line = str(refused.value)
    assert "\n" not in line
    assert name in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index"]


def test_a_folder_in_use_is_refused_before_anything_is_asked(index, tmp_path):
    (tmp_path / "solar").mkdir()
    (tmp_path / "solar" / "mine.txt").write_text("mine")
    with pytest.raises(FetchError, match="solar is there already; expected a new or empty folder; type --out FOLDER"):
        fetch("solar")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written to"):
        fetch("solar", "--yes", "--out", tmp_path / "file" / "below")
    assert not index.exists()
