"""Made-up flawless products on a background, so that an outline, a highlight, a seam or a lead is no defect."""

import cv2
import numpy as np

from tools.pretrain.paint import Image, Rng, noise

Point = tuple[float, float]


def place(background: Image, rng: Rng, material: Image | None = None) -> tuple[Image, Image]:
    """One to three products of the same kind on a background.

    Args:
        background: float [s, s, 3] in 0..1.
        rng: Decides everything.
        material: What the products are covered with, of the same shape; a plain colour without.

    Returns:
        The picture, and where the products are, float [s, s] in 0..1.
    """
    size = background.shape[0]
    count = int(rng.choice([1, 1, 1, 2, 3]))
    outline, colours = int(rng.integers(4)), rng.uniform(0.08, 0.95, (2, 3)).astype(np.float32)
    long = rng.uniform(0.25, 0.45) / (1 if count == 1 else 1.7)
    half = (size * long, size * long * rng.uniform(0.35, 1.0))
    picture, covered = background.copy(), np.zeros((size, size), np.float32)
    split, leads = rng.random() < 0.4, int(rng.integers(2, 5)) if rng.random() < 0.3 else 0
    for number in range(count):
        column = size * ((number + 0.5) / count + rng.uniform(-0.05, 0.05))
        frame = _frame(size, (column, size * rng.uniform(0.42, 0.58)), rng.uniform(0, np.pi))
        body = _body(outline, frame, half)
        if leads:
            legs = _legs(frame, half, leads)
            picture += legs[..., None] * (colours[1] - picture)
            covered = np.maximum(covered, legs)
        surface = _surface(frame, half, colours, split, rng)
        if material is not None:
            surface = surface * (0.5 + material)
        picture += body[..., None] * (np.clip(surface, 0, 1) - picture)
        covered = np.maximum(covered, body)
    return np.clip(picture, 0, 1).astype(np.float32), covered


def _frame(size: int, centre: Point, angle: float) -> tuple[Image, Image]:
    """Coordinates along and across a product."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * c + y * s, y * c - x * s


def _body(outline: int, frame: tuple[Image, Image], half: Point) -> Image:
    """Coverage of an ellipse, a stadium, a rectangle with round corners, or a ring."""
    (u, v), (a, b) = frame, half
    if outline == 0:
        inside = (1 - np.hypot(u / a, v / b)) * b
    elif outline == 3:
        inside = a * 0.3 - np.abs(np.hypot(u, v) - a * 0.7)
    else:
        corner = b if outline == 1 else 0.15 * b
        out = np.hypot(np.maximum(np.abs(u) - a + corner, 0), np.maximum(np.abs(v) - b + corner, 0))
        inside = corner - out
    return np.clip(inside + 0.5, 0, 1).astype(np.float32)


def _legs(frame: tuple[Image, Image], half: Point, count: int) -> Image:
    """Thin leads that leave the body side by side."""
    (u, v), (a, b) = frame, half
    thin = max(1.0, 0.06 * b)
    lanes = np.linspace(-0.6, 0.6, count) * b
    lines = [np.clip(thin - np.abs(v - lane) + 0.5, 0, 1) * (u > 0) * (u < 1.7 * a) for lane in lanes]
    return np.max(lines, axis=0).astype(np.float32)


def _surface(frame: tuple[Image, Image], half: Point, colours: Image, split: bool, rng: Rng) -> Image:
    """Colour, curvature, highlight, seam and markings."""
    (u, v), (a, b) = frame, half
    colour = np.where((u < 0)[..., None] & split, colours[1], colours[0])
    light = 1 - rng.uniform(0, 0.5) * (v / b) ** 2 + rng.uniform(0, 0.2) * (v / b)
    shine = rng.uniform(0, 0.5) * np.exp(-(((v / b + rng.uniform(-0.5, 0.5)) / rng.uniform(0.05, 0.3)) ** 2))
    surface = colour * light[..., None] + shine[..., None]
    surface += (rng.uniform(0, 0.04) * noise(u.shape, u.shape[0] // 2, rng))[..., None]
    if rng.random() < 0.3:
        seam = np.exp(-(((u - rng.uniform(-0.5, 0.5) * a) / rng.uniform(1, 3)) ** 2))
        surface *= 1 - rng.uniform(0.1, 0.5) * seam[..., None]
    if rng.random() < 0.35:
        surface += (rng.choice([-0.4, 0.4]) * _marking(u.shape[0], rng))[..., None]
    return surface.astype(np.float32)


def _marking(size: int, rng: Rng) -> Image:
    """A printed line of letters in the middle."""
    canvas = np.zeros((size, size), np.uint8)
    letters = "".join(chr(65 + int(k)) for k in rng.integers(0, 26, int(rng.integers(2, 7))))
    at = (int(size * rng.uniform(0.3, 0.45)), int(size * rng.uniform(0.47, 0.57)))
    cv2.putText(canvas, letters, at, cv2.FONT_HERSHEY_SIMPLEX, size / 350, 255, max(1, size // 160), cv2.LINE_AA)
    return np.asarray(canvas, np.float32) / np.float32(255)
