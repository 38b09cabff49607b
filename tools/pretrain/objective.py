"""What a step learns: the masks, the defect's words, and good against defective."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor

from descriptions.format.schema import NORMAL_STATES
from tools.pretrain import captions
from tools.pretrain.backbone import MEAN, STD
from tools.pretrain.samples import Sample
from tools.pretrain.student import CONTEXT, SCALE, Features, Student

BLANK = 0
"""A token that no caption holds (an exclamation mark); its row is zero, as that of every unknown word."""
_PLACES = "X " * CONTEXT
_tokenize = open_clip.get_tokenizer("ViT-B-32")


class Words(NamedTuple):
    """Tokenised prompts of a batch: a fixed number of rows per image, image by image."""

    normal: Tensor
    abnormal: Tensor
    kinds: Tensor
    """One description of every defect kind, in the order of `captions.KINDS`."""


def tokens(texts: Sequence[str]) -> Tensor:
    """Token ids [texts, 77] with the places of the context."""
    return _tokenize([_PLACES + t for t in texts])


def normalise(pixels: Tensor) -> Tensor:
    """uint8 [batch, 3, h, w] to the scale the image tower was trained with."""
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return (pixels.float() / 255 - mean) / std


def region(mask: Tensor) -> str:
    """The name of the ninth in which the mask's centre lies."""
    y, x = (float(c.float().mean()) for c in torch.nonzero(mask > 0.5, as_tuple=True))
    row, column = (min(2, int(c / n * 3)) for c, n in ((y, mask.shape[0]), (x, mask.shape[1])))
    return captions.POSITIONS[3 * row + column]


def write(samples: Sequence[Sample], rng: random.Random) -> Words:
    """Two normal and four abnormal prompts an image: generic, the defect's own words mostly, and others' words."""
    normal: list[str] = []
    abnormal: list[str] = []
    for s in samples:
        normal += [state.format(s.subject) + "." for state in rng.sample(NORMAL_STATES, 2)]
        defective = s.label == 1 and s.mask.max() > 0.5
        place = region(s.mask) if defective and rng.random() < 0.6 else rng.choice(captions.POSITIONS)
        own = [s.kind] if s.label == 1 and rng.random() < 0.75 else [rng.choice(list(captions.KINDS))]
        others = rng.sample(list(captions.KINDS), 2)
        texts = [captions.describe(rng, kind, s.subject)[:-1] for kind in own + others]
        texts.append(rng.choice(captions.GENERIC).format(s.subject))
        abnormal += [f"{text} at {place}." for text in texts]
    subject = rng.choice(captions.SUBJECTS)
    kinds = [captions.describe(rng, k, subject)[:-1] + f" at {rng.choice(captions.POSITIONS)}." for k in captions.KINDS]
    return Words(tokens(normal), tokens(abnormal), tokens(kinds))


def losses(student: Student, features: Features, words: Words, samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Every term of the objective as a scalar, unweighted."""
    batch = len(samples)
    label = torch.tensor([s.label for s in samples])
    with torch.no_grad():
        normal = _average(student.encode_text(words.normal, False), batch)
        abnormal = _average(student.encode_text(words.abnormal, True), batch)
        kinds = student.encode_text(words.kinds, True)
    side = int(features.patches[0].shape[1] ** 0.5)
    mask = torch.stack([s.mask for s in samples])[:, None]
    cosines = torch.stack([(features.image * t).sum(-1) for t in (normal, abnormal)], 1)
    terms = {
        "mask": _mask_loss(features, normal, abnormal, mask),
        "image": F.cross_entropy(cosines / 0.07, label),
    }
    terms["words"] = _words_loss(features, kinds, F.adaptive_avg_pool2d(mask, side).flatten(1), samples)
    return terms


def _average(rows: Tensor, batch: int) -> Tensor:
    return F.normalize(rows.view(batch, -1, rows.shape[1]).mean(1), dim=-1)


def _mask_loss(features: Features, normal: Tensor, abnormal: Tensor, mask: Tensor) -> Tensor:
    """Focal and Dice over every decoder's map, at four times the patch grid."""
    side = int(features.patches[0].shape[1] ** 0.5)
    target = F.adaptive_avg_pool2d(mask, side * 4).clamp(0, 1)
    total = torch.zeros(())
    for patches in features.patches:
        contrast = SCALE * (patches * (abnormal - normal)[:, None]).sum(-1)
        grid = contrast.view(-1, 1, side, side)
        logit = F.interpolate(grid, target.shape[-2:], mode="bilinear", align_corners=True)
        p = logit.sigmoid()
        bce = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
        focal = ((p - target).abs() ** 1.5 * bce * (1 + 2 * target)).mean()
        overlap = (p * target).flatten(1).sum(1)
        dice = 1 - (2 * overlap + 5) / (p.flatten(1).sum(1) + target.flatten(1).sum(1) + 5)
        total = total + 4 * focal + dice.mean()
    return total / len(features.patches)


def _words_loss(features: Features, kinds: Tensor, coverage: Tensor, samples: Sequence[Sample]) -> Tensor:
    """The defect's patches, averaged, must be nearest to its own kind's description among all kinds."""
    names = list(captions.KINDS)
    chosen = [i for i, s in enumerate(samples) if s.label == 1 and float(coverage[i].sum()) > 0.05]
    if not chosen:
        return torch.zeros(())
    target = torch.tensor([names.index(samples[i].kind) for i in chosen])
    share = coverage[chosen] / coverage[chosen].sum(1, keepdim=True)
    total = torch.zeros(())
    for patches in features.patches:
        pooled = F.normalize((patches[chosen] * share[..., None]).sum(1), dim=-1)
        total = total + F.cross_entropy(20 * pooled @ kinds.T, target)
    return total / len(features.patches)
