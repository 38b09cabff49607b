"""Annotated images become batches; the same address (epoch, image) always gives the same picture."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from detector.data import Sample, read_mask
from detector.data.errors import TrainingDataError
from detector.images.load import ReadOptions, image_size, load_image
from detector.images.tensors import to_pixels
from detector.localize.regions import REGIONS, region_at
from detector.model.config import ModelConfig
from detector.model.image_tower import ImageFeatures
from detector.model.prompt_tree import PromptIds
from detector.train.augment import TILES, Picture, flip, mosaic, photometric
from detector.train.config import TrainConfig
from detector.train.feature_memo import FeatureMemo, stack
from detector.train.sampling import Split, generator
from detector.train.stages import Batch


class _Item(NamedTuple):
    pixels: Tensor | None
    mask: Tensor
    defective: bool


class FiLoSource:
    """Batches for both stages.

    Args:
        samples: with pixel labels; see `require_trainable`.
        split: which of them are trained on and which are held out.
        prompts: of every category.
        config: augmentation and seed.
        model_config: image size and normalisation.
        memo: keeps the features of pictures that are never changed; None encodes them every time.
        device: where batches go.
        reading: how picture files are read.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        split: Split,
        prompts: Mapping[str, PromptIds],
        config: TrainConfig,
        model_config: ModelConfig,
        *,
        memo: FeatureMemo | None = None,
        device: torch.device | None = None,
        reading: ReadOptions | None = None,
    ) -> None:
        self.reading = reading
        self.samples, self.split, self.prompts = samples, split, prompts
        self.config, self.model_config, self.memo = config, model_config, memo
        self.device = device or torch.device("cpu")
        self.size = len(split.train)
        self._mates: dict[str, list[int]] = {}
        for index in split.train:
            self._mates.setdefault(samples[index].category, []).append(index)

    def batch(self, positions: Sequence[int], epoch: int) -> Batch:
        """Training images, augmented as this epoch has them."""
        indices = [self.split.train[position] for position in positions]
        if not self.config.augments:
            return self._collect(indices, [self._plain(index) for index in indices])
        return self._collect(indices, [self._augmented(index, epoch) for index in indices])

    def validation(self, batch: int) -> Iterator[tuple[int, Batch]]:
        """Held-out images as they are, each batch with its number of them."""
        for start in range(0, len(self.split.validation), batch):
            indices = self.split.validation[start : start + batch]
            yield len(indices), self._collect(indices, [self._plain(index) for index in indices])

    def _collect(self, indices: Sequence[int], items: Sequence[_Item]) -> Batch:
        masks = torch.stack([item.mask for item in items])
        regions = [_region(mask) for mask in masks] if self.config.position == "mask" else None
        pixels = [item.pixels for item in items if item.pixels is not None]
        return Batch(
            pixels=torch.stack(pixels).to(self.device) if pixels else None,
            masks=masks.to(self.device),
            labels=torch.tensor([int(item.defective) for item in items], device=self.device),
            prompts=[self.prompts[self.samples[index].category] for index in indices],
            positions=regions,
            features=None if pixels else self._features(indices),
        )

    def _features(self, indices: Sequence[int]) -> ImageFeatures | None:
        def pixels(index: int) -> Tensor:
            return self._pixels(index).to(self.device)

        if self.memo is None:
            return None
        return stack([self.memo.get(index, partial(pixels, index)) for index in indices])

    def _plain(self, index: int) -> _Item:
        pixels = None if self.memo is not None else self._pixels(index)
        return _Item(pixels, self._mask(index), self.samples[index].defective)

    def _augmented(self, index: int, epoch: int) -> _Item:
        rng, config = generator(self.config.seed, 3, epoch, index), self.config
        mean, std = (torch.tensor(value)[:, None, None] for value in (self.model_config.mean, self.model_config.std))
        picture, defective = self._picture(index), self.samples[index].defective
        if rng.random() < config.mosaic_rate:
            mates = rng.choice(self._mates[self.samples[index].category], TILES - 1)
            tiles = [picture, *(self._picture(int(mate)) for mate in mates)]
            picture = mosaic([tiles[place] for place in rng.permutation(TILES)])
            if config.variant == "filo":  # the release keeps the label of the first picture
                defective = bool(picture.mask.any())
        if config.flip:
            picture = flip(picture, rng)
        if config.photometric:
            unit = picture._replace(image=picture.image * std + mean)
            unit = photometric(unit, config.photometric, rng)
            picture = unit._replace(image=(unit.image - mean) / std)
        return _Item(picture.image, picture.mask[0], defective)

    def _picture(self, index: int) -> Picture:
        return Picture(self._pixels(index), self._mask(index)[None])

    def _pixels(self, index: int) -> Tensor:
        return to_pixels(load_image(self.samples[index].image, reading=self.reading), self.model_config)

    def _mask(self, index: int) -> Tensor:
        sample, size = self.samples[index], self.model_config.image_size
        if sample.mask is None:
            return torch.zeros(size, size)
        return torch.from_numpy(read_mask(sample.mask, image_size(sample.image), size).astype(np.float32))


def require_trainable(samples: Sequence[Sample], *, main: bool, adapter: bool) -> None:
    """Refuse data that a stage cannot learn from.

    Args:
        samples: what is to be trained on.
        main: the stage that needs defects with masks runs.
        adapter: the stage that needs both labels runs.

    Raises:
        TrainingDataError: defects without masks, or one class only.
    """
    unmasked = [sample for sample in samples if not sample.has_pixel_labels]
    if main and unmasked:
        raise TrainingDataError(
            f"{len(unmasked)} defective images have no mask, {unmasked[0].image} first",
            expected="a mask for every defect",
            hint="see `detector data check`, or train on a manifest without them",
        )
    count = Counter(sample.defective for sample in samples)
    if (main or adapter) and not count[True]:
        raise TrainingDataError(
            f"all {count[False]} training images are good", expected="defects as well", hint="try --split test"
        )
    if adapter and not count[False]:
        raise TrainingDataError(
            f"all {count[True]} training images are defective",
            expected="good images as well for the adapter stage",
            hint="add a category with good images, or give --set adapter_epochs=0",
        )


def _region(mask: Tensor) -> tuple[int, ...]:
    """Region of the centre of the largest connected defect; none for a good image, which means all regions."""
    from scipy import ndimage

    labels, count = ndimage.label(mask.numpy() > 0)
    if not count:
        return ()
    largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    y, x = ndimage.center_of_mass(labels == largest)
    height, width = mask.shape
    return (REGIONS.index(region_at((x + 0.5) / width, (y + 0.5) / height)),)
