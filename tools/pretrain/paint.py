"""Procedural defects: each painter changes pixels of an image and says where.

An image is float32 [h, w, 3] in 0..1; a painter returns the changed image and a soft mask [h, w] in 0..1.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Rng = np.random.Generator
Painter = Callable[[Image, Rng], tuple[Image, Image]]


def noise(shape: tuple[int, int], cells: int, rng: Rng) -> Image:
    """Smooth noise in about -1..1 with the given number of cells along a side."""
    coarse = rng.standard_normal((max(2, cells), max(2, cells)), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def blob(shape: tuple[int, int], rng: Rng, low: float = 0.03, high: float = 0.25) -> Image:
    """A soft-edged irregular spot; its radius is a share of the short side, drawn log-uniformly."""
    h, w = shape
    radius = min(h, w) * float(np.exp(rng.uniform(np.log(low), np.log(high))))
    cy, cx = rng.uniform(0.03, 0.97) * h, rng.uniform(0.03, 0.97) * w
    angle, squeeze = rng.uniform(0, np.pi), float(rng.uniform(0.35, 1.0))
    y, x = np.mgrid[:h, :w].astype(np.float32)
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) / squeeze
    wobble = 1 + 0.35 * noise(shape, int(rng.integers(4, 16)), rng)
    edge = 1 - np.hypot(u, v) / (radius * np.clip(wobble, 0.3, 2))
    return np.clip(edge * radius / rng.uniform(1, 4), 0, 1).astype(np.float32)


def region(shape: tuple[int, int], rng: Rng) -> Image:
    """A soft-edged part of the picture, from a tenth to nine tenths of it: a band, a corner, an island or a rest."""
    field = noise(shape, int(rng.integers(2, 5)), rng)
    if rng.random() < 0.5:
        h, w = shape
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[:h, :w].astype(np.float32)
        field = field * 0.5 + 3 * (np.cos(angle) * x / w + np.sin(angle) * y / h)
    level = np.quantile(field, 1 - rng.uniform(0.1, 0.9))
    return np.clip((field - level) * np.exp(rng.uniform(np.log(4), np.log(120))) + 0.5, 0, 1).astype(np.float32)


def stroke(shape: tuple[int, int], rng: Rng, jitter: float, thickness: float) -> Image:
    """A line that wanders by `jitter` of the side a step."""
    h, w = shape
    steps = int(rng.integers(6, 24))
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, jitter, steps))
    length = rng.uniform(0.15, 1.0) * max(h, w) / steps
    walk = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], 1) * length, 0)
    start = rng.uniform(0.05, 0.95, 2) * (w, h)
    points = np.round((walk - walk[steps // 2] + start) * 8).astype(np.int32)
    canvas = np.zeros(shape, np.uint8)
    cv2.polylines(canvas, [points], False, 255, max(1, round(thickness)), cv2.LINE_AA, 3)
    return (canvas / np.float32(255)).astype(np.float32)


def _blend(image: Image, mask: Image, fill: Image | NDArray[np.float64] | float) -> Image:
    return np.clip(image + mask[..., None] * (fill - image), 0, 1).astype(np.float32)


def _shade(image: Image, mask: Image, rng: Rng, low: float = 0.12, high: float = 0.6) -> Image:
    """Darker (mostly) or brighter inside the mask, with a slight tint."""
    amount = rng.uniform(low, high) * (-1 if rng.random() < 0.65 else 1)
    tint = 1 + rng.normal(0, 0.12, 3)
    return np.clip(image + mask[..., None] * (amount * tint), 0, 1).astype(np.float32)


def scratch(image: Image, rng: Rng) -> tuple[Image, Image]:
    """One to five nearly straight thin lines."""
    size = min(image.shape[:2])
    strokes = [stroke(image.shape[:2], rng, 0.03, size * rng.uniform(0.004, 0.02)) for _ in range(rng.integers(1, 6))]
    mask = np.max(strokes, axis=0)
    return _shade(image, mask, rng, 0.15, 0.5), mask


def crack(image: Image, rng: Rng) -> tuple[Image, Image]:
    """Dark wandering lines."""
    size = min(image.shape[:2])
    strokes = [stroke(image.shape[:2], rng, 0.5, size * rng.uniform(0.004, 0.02)) for _ in range(rng.integers(1, 4))]
    mask = np.max(strokes, axis=0)
    return _blend(image, mask * rng.uniform(0.5, 1), image.mean() * rng.uniform(0.0, 0.5)), mask


def hole(image: Image, rng: Rng) -> tuple[Image, Image]:
    """One to four small pits, mostly dark, some with a bright rim."""
    mask = np.max([blob(image.shape[:2], rng, 0.012, 0.07) for _ in range(rng.integers(1, 5))], axis=0)
    dark = image.mean() * rng.uniform(0, 0.45)
    out = _blend(image, mask * rng.uniform(0.6, 1), dark)
    if rng.random() < 0.3:
        rim = np.clip(cv2.dilate(mask, np.ones((5, 5))) - mask, 0, 1)
        out = np.clip(out + rim[..., None] * 0.3, 0, 1).astype(np.float32)
    return out, mask


def stain(image: Image, rng: Rng) -> tuple[Image, Image]:
    """A translucent coloured area."""
    shape = image.shape[:2]
    mask = region(shape, rng) if rng.random() < 0.2 else blob(shape, rng, 0.06, 0.35)
    return _blend(image, mask * rng.uniform(0.25, 0.8), rng.uniform(0, 1, 3)), mask


def contamination(image: Image, rng: Rng) -> tuple[Image, Image]:
    """Opaque specks and fibres of another material."""
    shape = image.shape[:2]
    marks = [blob(shape, rng, 0.01, 0.08) for _ in range(rng.integers(1, 6))]
    if rng.random() < 0.4:
        marks.append(stroke(shape, rng, 0.4, min(shape) * rng.uniform(0.004, 0.012)))
    mask = np.max(marks, axis=0)
    grain = rng.uniform(0, 1, 3) + 0.15 * noise(shape, 32, rng)[..., None]
    return _blend(image, mask, grain), mask


def dent(image: Image, rng: Rng) -> tuple[Image, Image]:
    """A shaded hollow: bright on one side, dark on the other, the texture bent along."""
    mask = np.asarray(cv2.GaussianBlur(blob(image.shape[:2], rng, 0.05, 0.25), (0, 0), 3), np.float32)
    gy, gx = np.gradient(cv2.GaussianBlur(mask, (0, 0), 4))
    angle = rng.uniform(0, 2 * np.pi)
    relief = gx * np.cos(angle) + gy * np.sin(angle)
    relief /= np.abs(relief).max() + 1e-6
    h, w = image.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    bend = np.float32(rng.uniform(3, 12))
    bent = cv2.remap(image, x + bend * mask, y + bend * mask, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.clip(bent + relief[..., None] * rng.uniform(0.15, 0.45), 0, 1).astype(np.float32), mask


def broken(image: Image, rng: Rng) -> tuple[Image, Image]:
    """A piece gone at a straight or ragged edge, the background showing."""
    shape = image.shape[:2]
    mask = blob(shape, rng, 0.06, 0.22)
    fill = rng.uniform(0, 0.3) if rng.random() < 0.7 else rng.uniform(0.7, 1)
    return _blend(image, mask, fill + 0.08 * noise(shape, 12, rng)[..., None]), mask


def fray(image: Image, rng: Rng) -> tuple[Image, Image]:
    """A patch whose fine texture is roughened or rubbed away."""
    shape = image.shape[:2]
    mask = region(shape, rng) if rng.random() < 0.25 else blob(shape, rng, 0.06, 0.35)
    return _retouch(image, mask, rng), mask


def uneven(image: Image, rng: Rng) -> tuple[Image, Image]:
    """A broad change of brightness or of texture over as much as nearly all of the picture."""
    shape = image.shape[:2]
    wide = rng.random() < 0.7
    mask = region(shape, rng) if wide else cv2.GaussianBlur(blob(shape, rng, 0.15, 0.45), (0, 0), 5)
    mask = np.asarray(mask, np.float32)
    cloudy = 1 + 0.5 * noise(shape, int(rng.integers(3, 20)), rng)
    out = image + (mask * cloudy)[..., None] * rng.uniform(0.08, 0.35) * rng.choice([-1, 1])
    if rng.random() < 0.5:
        out = _retouch(np.clip(out, 0, 1).astype(np.float32), mask, rng)
    return np.clip(out, 0, 1).astype(np.float32), mask


def _retouch(image: Image, mask: Image, rng: Rng) -> Image:
    """Rougher, smoother, streaked, or of stronger relief inside the mask."""
    shape, way = image.shape[:2], rng.integers(4)
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(3, 8)), np.float32)
    if way == 0:
        return _blend(image, mask, blurred + rng.uniform(-0.15, 0.15))
    if way == 1:
        change = (image - blurred) * rng.uniform(0.6, 2.5)
    elif way == 2:
        change = streaks(shape, rng)[..., None] * rng.uniform(0.04, 0.2)
    else:
        change = noise(shape, int(rng.integers(30, 90)), rng)[..., None] * rng.uniform(0.12, 0.3)
    return np.clip(image + mask[..., None] * change, 0, 1).astype(np.float32)


def streaks(shape: tuple[int, int], rng: Rng) -> Image:
    """Parallel lines of random brightness along one axis, in about -1..1, as machining leaves them."""
    along = int(rng.integers(2))
    line = cv2.GaussianBlur(rng.standard_normal((1, shape[1 - along]), dtype=np.float32), (0, 0), rng.uniform(0.3, 3))
    line = line / (np.abs(line).max() + 1e-6)
    return np.broadcast_to(line if along == 0 else line.T, shape).astype(np.float32)


def misplaced(image: Image, rng: Rng) -> tuple[Image, Image]:
    """A patch of the image itself, turned or flipped, in a place where it does not belong."""
    h, w = image.shape[:2]
    mask = blob((h, w), rng, 0.06, 0.25)
    moved = np.roll(image, (int(rng.integers(h // 5, h)), int(rng.integers(w // 5, w))), (0, 1))
    moved = moved[::-1] if rng.random() < 0.5 else np.rot90(moved) if h == w else moved[:, ::-1]
    visible = mask * (np.abs(moved - image).mean(-1) > 0.04)
    seen = np.asarray(cv2.morphologyEx(visible, cv2.MORPH_CLOSE, np.ones((7, 7))), np.float32)
    return _blend(image, mask, moved), seen


PAINTERS: dict[str, Painter] = {
    "scratch": scratch,
    "crack": crack,
    "hole": hole,
    "stain": stain,
    "contamination": contamination,
    "dent": dent,
    "break": broken,
    "fray": fray,
    "uneven": uneven,
    "misplaced": misplaced,
}
"""Defect kind to its painter; the keys are kinds of `captions.KINDS`."""
