"""Frozen image features kept between epochs: the image tower is most of a step's time and never changes."""

from collections.abc import Callable

import torch
from torch import Tensor

from detector.model.image_tower import ImageFeatures

GIBIBYTE = 2**30


class FeatureMemo:
    """Features by image, encoded one image at a time, so that they do not depend on who shared a batch.

    Args:
        encode: pixels `[1, 3, size, size]` to features.
        limit_bytes: once full, further images are encoded every time.
    """

    def __init__(self, encode: Callable[[Tensor], ImageFeatures], limit_bytes: int = 4 * GIBIBYTE) -> None:
        self._encode, self._left = encode, limit_bytes
        self._kept: dict[int, ImageFeatures] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, index: int, pixels: Callable[[], Tensor]) -> ImageFeatures:
        """Features of image `index`; `pixels` is called only when they are not known yet."""
        if index in self._kept:
            return self._kept[index]
        with torch.no_grad():
            features = self._encode(pixels()[None])
        size = sum(tensor.nbytes for tensor in _tensors(features))
        if size <= self._left:
            self._left -= size
            self._kept[index] = features
        return features


def stack(features: list[ImageFeatures]) -> ImageFeatures:
    """One batch out of single images."""
    linear = zip(*(one.linear_tokens for one in features), strict=True)
    conv = zip(*(one.conv_tokens for one in features), strict=True)
    return ImageFeatures(
        torch.cat([one.embedding for one in features]),
        tuple(torch.cat(level) for level in linear),
        tuple(torch.cat(level) for level in conv),
    )


def _tensors(features: ImageFeatures) -> tuple[Tensor, ...]:
    return (features.embedding, *features.linear_tokens, *features.conv_tokens)
