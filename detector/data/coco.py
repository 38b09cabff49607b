"""Boxes around masked defects with the phrases of the descriptions, as COCO: what fine-tuning Grounding DINO needs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descriptions.format.schema import DescriptionFile
from detector.data import Sample, read_mask
from detector.data.errors import TrainingDataError
from detector.images.load import image_size

SMALLEST = 4
"""Pixels below which a connected region is taken for an error of annotation."""


class PixelBox(NamedTuple):
    """A box in pixels of its image, as COCO has it."""

    x: int
    y: int
    width: int
    height: int
    area: int
    """Pixels of the defect inside, not of the box."""


def boxes_of(mask: NDArray[np.bool_]) -> list[PixelBox]:
    """One box around every connected region (8 neighbours) of a mask [height, width], in reading order."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    boxes = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        area = int((labels[rows, columns] == number).sum())
        if area >= SMALLEST:
            width, height = columns.stop - columns.start, rows.stop - rows.start
            boxes.append(PixelBox(int(columns.start), int(rows.start), int(width), int(height), area))
    return sorted(boxes, key=lambda box: (box.y, box.x))


def phrase_for(defect: str, texts: Iterable[str]) -> str:
    """The description that shares most words with the name of a kind of defect, or else that name in words."""
    plain = defect.replace("_", " ").replace("-", " ").lower()
    wanted = set(plain.split())
    shared = {text: len(wanted & set(text.lower().split())) for text in texts}
    best = max(shared, key=lambda text: shared[text], default=plain)
    return best if shared.get(best) else plain


def coco(samples: Iterable[Sample], descriptions: Mapping[str, DescriptionFile]) -> dict[str, Any]:
    """COCO detection data of all defective images with masks; good images come along without annotations.

    Beside COCO's own fields every image has a `caption` (all phrases of its category, joined as Grounding DINO reads
    them) and every annotation its `phrase`.

    Raises:
        TrainingDataError: no image has a mask.
        ImageError: an image or mask that cannot be read.
    """
    phrases: dict[str, int] = {}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (sample, size, boxes) in enumerate(_boxed(samples), start=1):
        texts = descriptions[sample.category].enabled_texts
        phrase = phrase_for(sample.defect, texts)
        spoken = dict.fromkeys((*texts, *([phrase] if boxes else ())))
        images.append(_image(number, sample, size, spoken))
        for box in boxes:
            kind = phrases.setdefault(phrase, len(phrases) + 1)
            annotations.append(_annotation(len(annotations) + 1, number, kind, box) | {"phrase": phrase.lower()})
    if not annotations:
        raise TrainingDataError("no image has a mask with a defect", expected="masks", hint="see `detector data check`")
    categories = [{"id": number, "name": phrase} for phrase, number in phrases.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _image(number: int, sample: Sample, size: tuple[int, int], spoken: Iterable[str]) -> dict[str, Any]:
    caption = " . ".join(text.lower() for text in spoken)
    named = {"id": number, "file_name": str(sample.image), "caption": f"{caption}."}
    return named | {"width": size[0], "height": size[1]}


def _annotation(number: int, image: int, kind: int, box: PixelBox) -> dict[str, Any]:
    named = {"id": number, "image_id": image, "category_id": kind}
    return named | {"bbox": list(box[:4]), "area": box.area, "iscrowd": 0}


def _boxed(samples: Iterable[Sample]) -> Iterator[tuple[Sample, tuple[int, int], list[PixelBox]]]:
    for sample in samples:
        if sample.has_pixel_labels:
            size = image_size(sample.image)
            yield sample, size, [] if sample.mask is None else boxes_of(read_mask(sample.mask, size))
