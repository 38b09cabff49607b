"""Eyes meet words: decoders from DINOv2's tokens to the text space, learned from cached features in minutes.

A decoder reads each patch token at unit length beside its difference from the mean over its photo: what stands out
is said by the difference, and it is the difference that carries from one product to another. The start is a ridge
regression; then some hundred steps teach the masks (with right, generic and wrong words) and the names of regions.
"""

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tools.pretrain import features, phrases
from tools.pretrain.kinds import WORDS
from tools.pretrain.shots import Region, Rows, Shot
from tools.pretrain.tower import ALPHA, DEFECT, EMBED

INPUT = 2 * features.WIDTH
SCALE = 100.0
"""FiLo's fixed sharpness of the maps."""
PUSH, MEANING, STRENGTH = 1.5, 6.0, 5.0
"""Lengths that the ridge regression asks for beside the shared axis, and its penalty in patches."""
STEPS = 0
"""Gradient steps after the ridge regression; they make naming better on some products and maps worse on most."""


@cache
def meaningless() -> tuple[str, ...]:
    """Words that describe no defect, under which a map should stay low."""
    return tuple(" ".join(random.Random(n).sample(phrases.words()[300:9000], 3)) for n in range(80))


Read = Callable[[Sequence[str], int], Tensor]
"""Unit text features [texts, EMBED] of one side: 0 normal, 1 abnormal."""


class Decoders(NamedTuple):
    """A linear map a level: `weight` [levels, EMBED, INPUT] and `bias` [levels, EMBED]."""

    weight: Tensor
    bias: Tensor


def decode(tokens: Tensor, decoders: Decoders) -> Tensor:
    """Unit patch embeddings [..., levels, patches, EMBED] of tokens [..., levels, patches, width]."""
    unit = F.normalize(tokens.float(), dim=-1)
    own, beside = decoders.weight.chunk(2, -1)
    shift = decoders.bias[:, None] - unit.mean(-2, keepdim=True) @ beside.mT
    return F.normalize(unit @ (own + beside).mT + shift, dim=-1)


def abnormal(product: str, phrase: str) -> str:
    """A description as FiLo's template reads it, without a position."""
    name = WORDS[product].name if product in WORDS else product
    return f"abnormal {name} with {phrase}."


class Bank:
    """Features of every text a fit needs, each read once."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})

    def __call__(self, texts: Sequence[str], side: int) -> Tensor:
        """Unit features [texts, EMBED]."""
        known = self._known[side]
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known.update(zip(missing, self._read(missing, side), strict=True))
        return torch.stack([known[text] for text in texts])

    def normal(self, name: str) -> Tensor:
        """FiLo's normal vector of a product."""
        return F.normalize(self([f"{state.format(name)}." for state in phrases.NORMAL[:6]], 0).mean(0), dim=0)

    def states(self, name: str) -> Tensor:
        """Features of the generic abnormal states of a product."""
        return self([f"{state.format(name)}." for state in phrases.STATES[:6]], 1)


class Sums(NamedTuple):
    """What a ridge regression needs to know of some photos; sums of several add up."""

    weight: Tensor
    x: Tensor
    """[levels, INPUT]."""
    y: Tensor
    """[EMBED]."""
    xx: Tensor
    """[levels, INPUT, INPUT]."""
    xy: Tensor
    """[levels, INPUT, EMBED]."""


def sums(
    shots: Sequence[Shot], rows: Rows, bank: Bank, push: float = PUSH, meaning: float = MEANING
) -> dict[tuple[str, bool], Sums]:
    """Sums of every product's real and painted photos: a region's patches ask for its words, others for normal ones.

    Each of these groups counts alike, and in it the patches inside and outside.

    Args:
        shots: photos.
        rows: their patches.
        bank: reads the words.
        push: how much longer than in the texts the normal-abnormal axis is asked for.
        meaning: the same for the part that the words decide.
    """
    target = torch.empty(len(rows.shot), EMBED)
    for number, shot in enumerate(shots):
        here = rows.shot == number
        target[here & (rows.region < 0)] = bank.normal(WORDS[shot.product].name)
        for index, region in enumerate(shot.regions):
            texts = bank([abnormal(shot.product, phrase) for phrase in region.phrases], 1)
            target[here & (rows.region == index)] = texts.mean(0)
    target[:, 1] *= push
    target[:, 2:] *= meaning
    inside, out = rows.region >= 0, {}
    groups = [(shot.product, shot.painted) for shot in shots]
    for group in dict.fromkeys(groups):
        mine = torch.tensor([each == group for each in groups])[rows.shot]
        x, y = rows.tokens[mine].float().transpose(0, 1), target[mine]
        counts = torch.tensor([(mine & ~inside).sum(), (mine & inside).sum()]).clamp(min=1)
        weight = 300 * counts.float().rsqrt()[inside[mine].long()] / counts.float().sqrt().sum()
        weighted = x * weight[:, None]
        out[group] = Sums(weight.sum(), weighted.sum(1), weight @ y, weighted.mT @ x, weighted.mT @ y)
    return out


def ridge(parts: Sequence[Sums], strength: float = STRENGTH) -> Decoders:
    """The closed-form decoders of some groups of photos; `strength` is that of the penalty, in patches."""
    total = Sums(*(torch.stack(list(part)).sum(0) for part in zip(*parts, strict=True)))
    mean_x, mean_y = total.x / total.weight, total.y / total.weight
    gram = total.xx - total.weight * mean_x[..., None] * mean_x[:, None]
    cross = total.xy - total.weight * mean_x[..., None] * mean_y
    solved = torch.linalg.solve(gram + strength * torch.eye(gram.shape[-1]), cross)
    return Decoders(solved.mT.contiguous(), mean_y - torch.einsum("li,lie->le", mean_x, solved))


def refine(
    start: Decoders,
    shots: Sequence[Shot],
    rows: Rows,
    bank: Bank,
    *,
    among: Sequence[int],
    steps: int = STEPS,
    seed: int = 0,
    peak: float = 2e-3,
) -> Decoders:
    """Gradient steps from the ridge solution: masks with right, generic and wrong words, and names of regions.

    Args:
        start: from `ridge`.
        shots: photos.
        rows: their patches.
        bank: reads the words.
        among: the photos that may be learned from, by index; words of no others are used either.
        steps: of 24 photos; without any, the start is returned.
        seed: decides which.
        peak: highest learning rate.
    """
    if not steps:
        return start
    rng = random.Random(seed)
    weight, bias = (part.clone().requires_grad_() for part in start)
    optimizer = torch.optim.Adam([weight, bias], peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps)
    groups: dict[str, list[int]] = {}
    for number in among:
        groups.setdefault(f"{shots[number].product}{shots[number].painted}{bool(shots[number].regions)}", []).append(
            number
        )
    of_shot = {number: torch.nonzero(rows.shot == number)[:, 0] for number in among}
    learned = [shots[number] for number in among]
    pool = list(dict.fromkeys(abnormal(s.product, p) for s in learned for r in s.regions for p in r.phrases[:2]))
    for _ in range(steps):
        batch = [rng.choice(groups[rng.choice(list(groups))]) for _ in range(24)]
        loss = torch.zeros(())
        at = torch.cat([of_shot[number] for number in batch])
        out = F.normalize(rows.tokens[at].float().transpose(0, 1) @ weight.mT + bias[:, None], dim=-1)
        position = 0
        regions, named = [], []
        for number in batch:
            count = len(of_shot[number])
            here, position = slice(position, position + count), position + count
            shot, region = shots[number], rows.region[of_shot[number]]
            direction, aim = _words(shot, bank, pool, rng)
            logit = SCALE * out[:, here] @ direction
            inside = (region >= 0).float()
            target = inside * aim
            share = torch.where(inside > 0, 1 / inside.sum().clamp(min=1), 1 / (1 - inside).sum().clamp(min=1))
            loss = (
                loss
                + (F.binary_cross_entropy_with_logits(logit, target.expand_as(logit), reduction="none") * share).sum()
                / 2
            )
            for index, each in enumerate(shot.regions):
                if bool((region == index).any()):
                    regions.append(F.normalize(out[:, here][:, region == index].mean(1), dim=-1))
                    named.append((shot, index, each))
        loss = loss / len(batch)
        if regions:
            loss = loss + _naming(torch.stack(regions), named, bank, pool, rng)
        loss = loss + 0.02 * ((weight - start.weight).square().sum() / start.weight.square().sum())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return Decoders(weight.detach(), bias.detach())


def _words(shot: Shot, bank: Bank, pool: Sequence[str], rng: random.Random) -> tuple[Tensor, float]:
    """Abnormal minus normal vector of some words for a photo, and how sure the map should be inside its regions."""
    name = WORDS[shot.product].name
    way = rng.random()
    own = [abnormal(shot.product, rng.choice(r.phrases)) for r in shot.regions]
    generic = bank.states(name)
    if way < 0.55 and own:
        others = _some(pool, rng.randrange(3), rng)
        rows, aim = torch.cat([bank([*own, *others], 1), generic[: rng.randrange(4)]]), 1.0
    elif way < 0.7:
        rows, aim = generic, 0.8
    elif way < 0.85:
        others = [text for text in _some(pool, 6, rng) if text not in own][:4]
        rows, aim = torch.cat([bank(others, 1), generic[: rng.randrange(3)]]) if others else generic, 0.4
    else:
        drawn = [abnormal(shot.product, rng.choice(meaningless())) for _ in range(4)]
        rows, aim = torch.cat([bank(drawn, 1), generic[: rng.randrange(3)]]), 0.2
    return F.normalize(rows.mean(0), dim=0) - bank.normal(name), aim


def _some(pool: Sequence[str], count: int, rng: random.Random) -> list[str]:
    return rng.sample(pool, min(count, len(pool)))


def _naming(
    regions: Tensor, named: list[tuple[Shot, int, Region]], bank: Bank, pool: Sequence[str], rng: random.Random
) -> Tensor:
    """Each region is nearest to a phrase of its own among other kinds' phrases."""
    loss = torch.zeros(())
    for features_, (shot, _, region) in zip(regions, named, strict=True):
        own = abnormal(shot.product, rng.choice(region.phrases))
        kinds = WORDS[shot.product].kinds if not shot.painted else {}
        rivals = [abnormal(shot.product, rng.choice(p)) for kind, p in kinds.items() if kind != region.kind]
        rivals += [abnormal(shot.product, rng.choice(r.phrases)) for r in shot.regions if r.kind != region.kind]
        rivals += [text for text in _some(pool, 10, rng) if not any(p in text for p in region.phrases)]
        logits = 60 * features_ @ bank([own, *rivals], 1).T
        loss = loss + F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    return loss / len(named)


def ideal(minilm: Callable[[Sequence[str]], Tensor]) -> Read:
    """Text features as the tower is asked for them, straight from MiniLM; for trials before there is a tower."""

    def read(texts: Sequence[str], side: int) -> Tensor:
        meant = minilm(texts)
        axes = torch.tensor([[1.0, DEFECT if side else -DEFECT]]).expand(len(meant), 2)
        return F.normalize(torch.cat([axes, ALPHA * meant], 1), dim=-1)

    return read
