"""A drawn data set of capsules in the MVTec AD layout: something to try every command on, free of any licence.

The pictures are procedural. They show that the tools work and what output looks like; a score on them says nothing
about real products.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from detector.data.errors import DataError
from detector.errors import cannot_write

CATEGORY = "capsule"
GRAIN = 0.012
"""Standard deviation of the camera noise, in units of full white."""

Plane = NDArray[np.float64]
"""[side, side] in 0..1."""
Picture = NDArray[np.float64]
"""[side, side, 3] in 0..1."""


class Capsule(NamedTuple):
    """A drawn capsule in its own axes."""

    picture: Picture
    along: Plane
    """Position along the capsule, -1 at one end and 1 at the other."""
    across: Plane
    """Position across, -1 to 1 inside the capsule."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Pixels of the capsule."""
        return _inside(self.along, self.across)


def _inside(along: Plane, across: Plane, stretch: float = 2.6) -> NDArray[np.bool_]:
    cap = np.clip(np.abs(along) * stretch - (stretch - 1), 0, None)
    return np.asarray(cap**2 + across**2 < 1)


def draw_capsule(side: int, rng: np.random.Generator) -> Capsule:
    """A two-coloured capsule on a grey belt, lit from the top, at a random angle and place."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    angle, (cy, cx) = rng.uniform(-0.5, 0.5), rng.uniform(0.45, 0.55, 2)
    along = ((x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)) / 0.38
    across = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) / 0.146
    belt = 0.55 + 0.03 * ndimage.gaussian_filter(rng.standard_normal((side, side)), side / 40) * side / 12
    picture = np.repeat(belt[..., None], 3, axis=2)
    left, right = np.array([0.72, 0.16, 0.13]), np.array([0.93, 0.87, 0.68])
    colour = np.where((along < 0.05)[..., None], left, right)
    light = 0.62 + 0.38 * np.sqrt(np.clip(1 - across**2, 0, 1)) + 0.25 * np.exp(-(((across + 0.45) / 0.12) ** 2))
    seam = 1 - 0.25 * np.exp(-(((along - 0.05) / 0.012) ** 2))
    body = colour * (light * seam)[..., None]
    return Capsule(np.where(_inside(along, across)[..., None], body, picture), along, across)


def _scratch(capsule: Capsule, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """A bright thin line."""
    slope, start = rng.uniform(-0.8, 0.8), rng.uniform(-0.5, 0.5)
    line = np.abs(capsule.across - slope * (capsule.along - start) * 2.6) < 0.09
    mask = (line & (np.abs(capsule.along - start) < 0.32)).astype(float)
    return np.ones_like(capsule.picture) * 0.97, mask


def _crack(capsule: Capsule, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """A dark jagged line across the shell."""
    start, knots = rng.uniform(-0.55, 0.55), np.linspace(-1, 1, 9)
    path = np.interp(capsule.across, knots, start + np.cumsum(rng.normal(0, 0.035, 9)))
    return capsule.picture * 0.12, (np.abs(capsule.along - path) < 0.022).astype(float)


def _stain(capsule: Capsule, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """A brown blot with an uneven rim."""
    along, across, size = rng.uniform(-0.6, 0.6), rng.uniform(-0.4, 0.4), rng.uniform(0.14, 0.26)
    wobble = ndimage.gaussian_filter(rng.standard_normal(capsule.along.shape), capsule.along.shape[0] / 45)
    rim = 1 + 0.35 * wobble / wobble.std()
    spot = np.hypot(capsule.along - along, (capsule.across - across) / 2.6) / size
    return capsule.picture * np.array([0.5, 0.36, 0.22]), (spot < rim * 0.8).astype(float)


def _hole(capsule: Capsule, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """A small dark pit."""
    along, across, size = rng.uniform(-0.7, 0.7), rng.uniform(-0.4, 0.4), rng.uniform(0.06, 0.1)
    spot = np.hypot(capsule.along - along, (capsule.across - across) / 2.6)
    return np.full_like(capsule.picture, 0.06), (spot < size).astype(float)


DEFECTS: dict[str, Callable[[Capsule, np.random.Generator], tuple[Picture, Plane]]] = {
    "scratched": _scratch,
    "cracked": _crack,
    "stained": _stain,
    "punctured": _hole,
}
"""Folder name of each kind of defect and what paints it."""


def draw(kind: str | None, side: int, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """One picture and its mask.

    Args:
        kind: a key of `DEFECTS`, or None for a good capsule.
        side: height and width in pixels.
        rng: the only source of chance; equal states give equal bytes.

    Returns:
        An RGB image, and a mask in mode L that is 255 inside the defect.
    """
    capsule = draw_capsule(side, rng)
    picture, mask = capsule.picture, np.zeros((side, side))
    if kind is not None:
        paint, mask = DEFECTS[kind](capsule, rng)
        mask = mask * capsule.inside
        soft = ndimage.gaussian_filter(mask, side / 400)[..., None]
        picture = picture * (1 - soft) + paint * soft
    grain = rng.normal(0, GRAIN, picture.shape)
    pixels = np.clip(picture + grain, 0, 1) * 255
    return Image.fromarray(pixels.round().astype(np.uint8)), Image.fromarray((mask > 0.5).astype(np.uint8) * 255)


def write_sample_set(
    out: Path, *, good: int = 8, bad: int = 3, references: int = 20, side: int = 320, seed: int = 0
) -> Path:
    """Draw a data set and return the folder of its category.

    Args:
        out: data set root; `capsule/` is made inside it.
        good: good test images.
        bad: images of each kind of defect.
        references: good training images, which the test images are compared with.
        side: height and width in pixels.
        seed: equal seeds give equal files.

    Raises:
        DataError: the category's folder is there already and not empty.
        OutputError: it cannot be written to.
    """
    folder = out / CATEGORY
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists already", expected="a new folder", hint="remove it, or name another one")
    try:
        _draw_all(folder, good, bad, side, np.random.default_rng(seed))
        apart = np.random.default_rng((seed, 1))  # the test images stay the same, however many there are of these
        for index in range(references):
            _save(draw(None, side, apart)[0], folder / "train" / "good" / f"{index:03}.png")
    except OSError as error:
        raise cannot_write(folder, error, "another folder") from error
    return folder


def _draw_all(folder: Path, good: int, bad: int, side: int, rng: np.random.Generator) -> None:
    for index in range(good):
        _save(draw(None, side, rng)[0], folder / "test" / "good" / f"{index:03}.png")
    for kind in DEFECTS:
        for index in range(bad):
            image, mask = draw(kind, side, rng)
            _save(image, folder / "test" / kind / f"{index:03}.png")
            _save(mask, folder / "ground_truth" / kind / f"{index:03}_mask.png")


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
