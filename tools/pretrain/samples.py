"""Training samples: crop, normal look, perhaps a painted defect, then changes that neither hide nor make one."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from tools.pretrain import captions, corpus, paint, products
from tools.pretrain.corpus import Example

Image = paint.Image


class Sample(NamedTuple):
    """One training image."""

    pixels: Tensor
    """[3, s, s], uint8 RGB."""
    mask: Tensor
    """[s, s], float 0..1."""
    label: int
    """1 defective, 0 good."""
    kind: str
    """Key of `captions.KINDS`, or `good`."""
    subject: str


class Stream(IterableDataset[Sample]):
    """Endless samples, the same for the same seed.

    Args:
        examples: What `corpus.load` returned.
        size: Side of the square samples in pixels.
        seed: Start of the random sequence; a resumed run passes another one.
        products: Share of made-up products.
    """

    def __init__(self, examples: Sequence[Example], size: int, seed: int, products: float = 0.15) -> None:
        self._shares = [share * (1 - products) for share in (0.34, 0.42, 0.24)] + [products]
        self._good = [e for e in examples if e.kind == "good"]
        defective = [e for e in examples if e.kind != "good"]
        self._defective = [[e for e in defective if e.subject == name] for name in corpus.DEFECTIVE]
        self._size, self._seed = size, seed

    def __iter__(self) -> Iterator[Sample]:
        worker = torch.utils.data.get_worker_info()
        seed = self._seed + (worker.id if worker else 0)
        rng, words = np.random.default_rng(seed), random.Random(seed)
        while True:
            yield self._draw(rng, words)

    def _draw(self, rng: np.random.Generator, words: random.Random) -> Sample:
        source = str(rng.choice(["defective", "good", "surface", "product"], p=self._shares))
        where = None
        mask, subject, kind = np.zeros((self._size,) * 2, np.float32), "", "good"
        if source == "surface":
            image = synthetic(self._size, rng)
        elif source == "product":
            covering = self._good[rng.integers(len(self._good))] if self._good and rng.random() < 0.3 else None
            material = crop(covering, self._size, rng)[0] if covering else None
            image, where = products.place(synthetic(self._size, rng), rng, material)
        else:
            pool = self._good if source == "good" else self._defective[rng.integers(len(self._defective))]
            image, mask, subject, kind = crop(pool[rng.integers(len(pool))], self._size, rng)
        if kind == "good" and rng.random() < 0.55:
            kind = words.choice(list(paint.PAINTERS))
            image, mask = painted(image, kind, rng, where)
        image, mask = disturb(image, mask, rng)
        area = float(mask.sum())
        label = int(area > 12)
        named = subject if subject and words.random() < 0.5 else words.choice(captions.SUBJECTS)
        pixels = torch.from_numpy(np.ascontiguousarray((image * 255).astype(np.uint8).transpose(2, 0, 1)))
        return Sample(
            pixels, torch.from_numpy(np.ascontiguousarray(mask)), label, kind if label == 1 else "good", named
        )


def painted(image: Image, kind: str, rng: np.random.Generator, where: Image | None = None) -> tuple[Image, Image]:
    """Paint, on products alone where there are some; keep as mask what can be seen (a dark pit on black is none)."""
    changed, mask = paint.PAINTERS[kind](image, rng)
    if where is not None:
        changed, mask = image + where[..., None] * (changed - image), mask * where
    change = cv2.GaussianBlur(np.abs(changed - image).mean(-1), (0, 0), 2)
    return changed.astype(np.float32), (mask * (change > 0.02)).astype(np.float32)


def crop(example: Example, size: int, rng: np.random.Generator) -> tuple[Image, Image, str, str]:
    """A random crop resized to the square, as image, mask, subject and kind."""
    h, w = example.mask.shape
    scale = rng.uniform(0.45, 1.0) ** 0.7
    ch = min(h, round(h * scale * rng.uniform(0.8, 1.25)))
    cw = min(w, round(w * scale * rng.uniform(0.8, 1.25)))
    top, left = rng.integers(h - ch + 1), rng.integers(w - cw + 1)
    window = (slice(top, top + ch), slice(left, left + cw))
    image = cv2.resize(example.image[window], (size, size), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
    mask = cv2.resize(example.mask[window].astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    if example.kind == "good":
        kind = "good"
    else:
        kind = captions.kind_of(example.kind, example.subject) if mask.any() else "good"
    return image, mask, example.subject, kind


def synthetic(size: int, rng: np.random.Generator) -> Image:
    """A made-up flawless surface: grain, streaks, shading, sometimes a regular pattern."""
    shape = (size, size)
    image = np.full(shape, rng.uniform(0.15, 0.85), np.float32)
    image += paint.noise(shape, int(rng.integers(size // 4, size)), rng) * rng.uniform(0.01, 0.12)
    image += paint.noise(shape, int(rng.integers(2, 5)), rng) * rng.uniform(0, 0.1)
    if rng.random() < 0.5:
        line = rng.standard_normal((1, size), dtype=np.float32)
        image += np.repeat(cv2.GaussianBlur(line, (0, 0), rng.uniform(0.3, 3)), size, 0) * rng.uniform(0.02, 0.15)
    if rng.random() < 0.3:
        y, x = np.mgrid[:size, :size].astype(np.float32)
        wave = np.sin(x * rng.uniform(0.1, 0.8) + rng.uniform(0, 6)) * np.sin(y * rng.uniform(0.1, 0.8))
        image += wave.astype(np.float32) * rng.uniform(0.03, 0.2)
    colour = 1 + rng.normal(0, 0.15, 3) * (rng.random() < 0.5)
    return np.clip(image[..., None] * colour, 0, 1).astype(np.float32)


def disturb(image: Image, mask: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Turns, grey, tone, shading, blur, grain, and a plain border: things that are no defect."""
    turns = int(rng.integers(4))
    image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.55:
        image = np.repeat((image @ rng.dirichlet(np.ones(3)).astype(np.float32))[..., None], 3, 2)
    elif rng.random() < 0.4:
        image = image[..., rng.permutation(3)]
    if rng.random() < 0.12:
        image = 1 - image
    image = np.clip(image, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.3)))
    image = (image - image.mean()) * np.float32(rng.uniform(0.5, 1.25)) + np.float32(image.mean() + rng.normal(0, 0.1))
    shape = mask.shape
    if rng.random() < 0.4:
        image = image * (1 + paint.noise(shape, 2, rng)[..., None] * np.float32(rng.uniform(0, 0.2)))
    image, mask = np.ascontiguousarray(image, np.float32), np.ascontiguousarray(mask, np.float32)
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.4:
        image = image + rng.standard_normal((*shape, 1), dtype=np.float32) * np.float32(rng.uniform(0, 0.05))
    if rng.random() < 0.25:
        image, mask = _border(image, mask, rng)
    return np.clip(image, 0, 1).astype(np.float32), mask


def _border(image: Image, mask: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """A plain background along one to four straight sides, as where a product ends."""
    size = mask.shape[0]
    tone = np.float32(rng.uniform(0, 0.25) if rng.random() < 0.6 else rng.uniform(0.75, 1))
    inside = np.zeros(mask.shape, np.float32)
    top, bottom, left, right = (int(rng.uniform(0, 0.15) * size) if rng.random() < 0.6 else 0 for _ in range(4))
    inside[top : size - bottom, left : size - right] = 1
    return image * inside[..., None] + tone * (1 - inside[..., None]), mask * inside
