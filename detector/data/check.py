"""Finds every file of a data set that would spoil a run, before the run."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from detector.data.masks import read_mask, shrunk
from detector.data.sample import DataSet, Sample
from detector.images.load import SMALLEST, ImageError, ReadOptions, bits_note, image_size, load_image, unremarkable
from detector.weights.registry import preset_config

MOST = 0.5
"""Share of a picture that a defect rarely covers."""
LONGEST = 4096
"""Side in pixels that larger pictures are shrunk to, as `detect` and `eval` do by themselves."""
LOOKED_AT = 20
"""Masks of a category that an evaluation looks at beforehand."""


class Problem(NamedTuple):
    """One thing wrong with one file."""

    path: str
    message: str
    severe: bool = True
    """False for what costs information but breaks nothing, such as a missing mask."""


def check(data: DataSet, reading: ReadOptions | None = None) -> Iterator[Problem]:
    """Open every image and mask of `data` and say what is wrong, file by file.

    Args:
        data: to look at.
        reading: how pictures are read.
    """
    seen: dict[str, Sample] = {}
    side = preset_config().image_size
    covered: dict[str, list[float]] = defaultdict(list)
    for lines, severe in ((data.problems, True), (data.notes, False)):
        for line in lines:
            path, _, message = line.partition(": ")
            yield Problem(path, message, severe)
    for line in bits_note(sample.image for sample in data.samples) if not (reading and reading.bits) else ():
        path, _, message = line.partition(": ")
        yield Problem(path, message, severe=False)
    for sample in data.samples:
        yield from _check_sample(sample, side, reading, covered[sample.category])
        try:
            digest = hashlib.sha256(sample.image.read_bytes()).hexdigest()
        except OSError:  # named above
            continue
        first = seen.setdefault(digest, sample)
        if first is not sample:
            contradicts = first.defective != sample.defective
            kind = "the same picture with the other label" if contradicts else "the same picture"
            yield Problem(
                str(sample.image), f"{kind} as {first.image}", severe=contradicts or first.split != sample.split
            )
    for category, shares in covered.items():
        if note := inverted(shares):
            yield Problem(category, note, severe=False)


def inverted(shares: Sequence[float]) -> str:
    """A note where masks are probably inverted: most of the picture is defective in most images; otherwise nothing.

    Args:
        shares: of each mask, how much of the picture it covers, in [0, 1].
    """
    large = sum(share > MOST for share in shares)
    if not large or 2 * large <= len(shares):
        return ""
    return f"{large} of {len(shares)} masks cover more than half of their picture; are they inverted (0 on the defect)?"


def inverted_masks(samples: Sequence[Sample]) -> str:
    """`inverted` for the first masks of a category, which are read for it."""
    shares = []
    for sample in [each for each in samples if each.mask is not None][:LOOKED_AT]:
        with suppress(ImageError):  # whoever scores it says what is wrong
            shares.append(float(read_mask(sample.mask, image_size(sample.image)).mean()))
    return inverted(shares)


def _check_sample(sample: Sample, side: int, reading: ReadOptions | None, shares: list[float]) -> Iterator[Problem]:
    try:
        image, size = load_image(sample.image, LONGEST, reading), image_size(sample.image)
    except ImageError as error:
        yield Problem(str(sample.image), _bare(error, sample.image))
        return
    if doubt := unremarkable(image):
        yield Problem(str(sample.image), doubt, severe=min(image.size) < SMALLEST)
    if sample.defective and sample.mask is None:
        yield Problem(str(sample.image), "no mask: counts in image metrics only", severe=False)
    if sample.mask is None:
        return
    try:
        mask = read_mask(sample.mask, size)
    except ImageError as error:
        yield Problem(str(sample.mask), _bare(error, sample.mask))
        return
    shares.append(float(mask.mean()))
    if not mask.any():
        yield Problem(str(sample.mask), "the mask is empty, the image is labelled as defective")
    elif mask.all():
        yield Problem(str(sample.mask), "the mask covers the whole image", severe=False)
    elif not shrunk(mask, side).any():
        lost = f"the defect is too thin to be seen at {side}x{side} pixels, where the default model looks"
        yield Problem(str(sample.mask), lost, severe=False)


def _bare(error: ImageError, path: Path) -> str:
    """The message without the path it starts with."""
    return str(error).removeprefix(f"{path} ")
