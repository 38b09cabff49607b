"""The first phase: the text tower learns where normal states, defect kinds and positions lie; images come later.

Every caption has a target direction. All share one axis; the sign of a second says normal or abnormal; then follow an
axis a kind and one a position. The directions lie close together, as CLIP's own text features do: the maps multiply
cosines with 100, and wide angles would saturate them.
"""

import logging
import random

import torch
import torch.nn.functional as F
from torch import Tensor

from descriptions.format.schema import NORMAL_STATES
from tools.pretrain import captions, objective
from tools.pretrain.student import CONTEXT, Student

KINDS = tuple(captions.KINDS)
DEFECT, KIND, POSITION = 0.25, 0.25, 0.12
"""Lengths beside the shared axis of length one."""
NORMAL_TEXTS, GENERIC_TEXTS, KIND_TEXTS = 48, 32, 112
"""Captions of a step."""
DROPPED = 0.1
"""Share of words that are blanked, as unknown ones are."""
log = logging.getLogger("pretrain")


def direction(width: int, *, abnormal: bool, kind: str | None = None, position: str | None = None) -> Tensor:
    """Unit target [width] of a caption."""
    target = torch.zeros(width)
    target[0], target[1] = 1, DEFECT if abnormal else -DEFECT
    if kind is not None:
        target[2 + KINDS.index(kind)] = KIND
    if position is not None:
        target[2 + len(KINDS) + captions.POSITIONS.index(position)] = POSITION
    return F.normalize(target, dim=0)


def learn(student: Student, seed: int, steps: int, peak: float = 2e-3) -> None:
    """Train the text tower and both contexts, then freeze them."""
    clip = student.clip
    parts = [clip.token_embedding, clip.transformer, clip.ln_final]
    alone = [clip.positional_embedding, clip.text_projection, student.normal_context, student.abnormal_context]
    trained = [*(p for part in parts for p in part.parameters()), *alone]
    optimizer = torch.optim.AdamW(trained, peak, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=max(steps, 4))
    rng = random.Random(seed)
    for step in range(steps):
        loss = _step(student, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            log.info("words: step %d, 1 - cosine %.4f", step, float(loss.detach()))
    for parameter in trained:
        parameter.requires_grad_(False)


def _step(student: Student, rng: random.Random) -> Tensor:
    """One minus the cosine with the target, averaged."""
    width = student.clip.text_projection.shape[1]
    normal = [_normal(rng) for _ in range(NORMAL_TEXTS)]
    kinds = [None] * GENERIC_TEXTS + [rng.choice(KINDS) for _ in range(KIND_TEXTS)]
    places = [rng.choice(captions.POSITIONS) for _ in kinds]
    abnormal = [f"{_abnormal(rng, kind)} at {place}." for kind, place in zip(kinds, places, strict=True)]
    wanted = torch.stack(
        [direction(width, abnormal=True, kind=k, position=p) for k, p in zip(kinds, places, strict=True)]
    )
    found = student.encode_text(_blank(objective.tokens(abnormal), rng), abnormal=True)
    good = student.encode_text(_blank(objective.tokens(normal), rng), abnormal=False)
    far = 1 - (good @ direction(width, abnormal=False))
    return torch.cat([1 - (found * wanted).sum(1), far]).mean()


def _normal(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return rng.choice(captions.flawless()) + "."
    return rng.choice(NORMAL_STATES).format(rng.choice(captions.SUBJECTS)) + "."


def _abnormal(rng: random.Random, kind: str | None) -> str:
    subject = rng.choice(captions.SUBJECTS)
    if kind is None:
        return rng.choice(captions.GENERIC).format(subject)
    return captions.describe(rng, kind, subject)[:-1]


def _blank(ids: Tensor, rng: random.Random) -> Tensor:
    """Replace some words with one that no caption holds, whose row is zero."""
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    ends = ids.argmax(1, keepdim=True)
    places = torch.arange(ids.shape[1]).expand_as(ids)
    word = (places > CONTEXT) & (places < ends)
    return ids.masked_fill(word & (torch.rand(ids.shape, generator=generator) < DROPPED), objective.BLANK)
