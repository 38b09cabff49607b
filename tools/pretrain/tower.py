"""The text tower learns to read from MiniLM: `python -m tools.pretrain.tower --work WORK --minutes 30`.

It starts as the mean of its words: every row of the vocabulary is MiniLM's feature of that token's string, the first
block averages what it sees, and all later parts begin at zero. The features it learns are

    [1, +-DEFECT, ALPHA * m],   m = MiniLM's unit feature in the `EMBED - 2` main directions of the phrases

so that two texts are as alike as MiniLM has them, but at narrow angles (FiLo's maps multiply cosines with 100), and
the learned contexts alone say normal or abnormal. The prompt's start and contexts are computed once a batch.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from open_clip.model import TextTransformer
from scipy.stats import spearmanr
from torch import Tensor, nn

from detector.model.attention import project_qkv
from detector.model.tokenizer import clip_tokenizer
from tools.pretrain import phrases, teacher

EMBED, WIDTH, HEADS, LAYERS, CONTEXT = 256, 256, 4, 2, 12
MEANT = EMBED - 2
"""Directions of MiniLM's space that are kept."""
DEFECT, ALPHA = 0.15, 0.5
"""Lengths of the normal-abnormal axis and of the meaning beside the shared axis of length one."""
BATCH, PEAK = 384, 1.5e-3
HELD = 2_000
"""Words that are never shown alone, whose neighbours are measured."""
VOCABULARY = 49_408


class Tower(nn.Module):
    """open_clip's text tower with both learned contexts."""

    def __init__(self, layers: int = LAYERS) -> None:
        super().__init__()
        text = TextTransformer(77, VOCABULARY, WIDTH, HEADS, layers, output_dim=EMBED)
        self.token_embedding, self.positional_embedding = text.token_embedding, text.positional_embedding
        self.transformer, self.ln_final, self.text_projection = text.transformer, text.ln_final, text.text_projection
        self.contexts = nn.Parameter(torch.randn(2, CONTEXT, WIDTH) * 1e-3)

    @torch.no_grad()
    def start(self, rows: Tensor) -> None:
        """Become the mean of word rows [vocabulary, WIDTH], each normalised as `ln_1` does it."""
        eye = torch.eye(WIDTH)
        self.token_embedding.weight.copy_(rows)
        self.token_embedding.weight[-2:] = 1e-3
        self.positional_embedding.mul_(0.01)
        for number, block in enumerate(self.transformer.resblocks):
            block.attn.out_proj.weight.zero_()
            block.mlp.c_proj.weight.mul_(0.02)
            if number == 0:
                block.attn.in_proj_weight[: 2 * WIDTH].mul_(0.1)
                block.attn.in_proj_weight[2 * WIDTH :] = eye
                block.attn.out_proj.weight.copy_(eye * 0.5)
        self.text_projection.zero_()
        self.text_projection[:MEANT, 2:] = ALPHA * torch.eye(MEANT) / WIDTH**0.5
        self.text_projection[MEANT:, :2] = 0.1 * torch.randn(2, 2)
        self.ln_final.bias[-2:] = 1.0
        self.text_projection[-2:, 0] = 0.5

    def forward(self, ids: Tensor, side: int) -> Tensor:
        """Features [texts, EMBED], not normalised, of equally long ids [texts, length] that end with the end token."""
        begin = self.token_embedding.weight[VOCABULARY - 2]
        prefix = torch.cat([begin[None], self.contexts[side]])[None] + self.positional_embedding[: 1 + CONTEXT]
        first, length = 1 + CONTEXT, ids.shape[1]
        x = self.token_embedding(ids) + self.positional_embedding[first : first + length]
        after = torch.tril(torch.ones(length, first + length, dtype=torch.bool), first)
        within = torch.tril(torch.ones(first, first, dtype=torch.bool))
        for block in self.transformer.resblocks:
            q0, k0, v0 = project_qkv(block.attn, block.ln_1(prefix))
            q, k, v = project_qkv(block.attn, block.ln_1(x))
            k, v = (torch.cat([a.expand(len(x), *a.shape[1:]), b], -2) for a, b in ((k0, k), (v0, v)))
            x = x + _mixed(block.attn, q, k, v, after)
            x = x + block.mlp(block.ln_2(x))
            prefix = prefix + _mixed(block.attn, q0, k0, v0, within)
            prefix = prefix + block.mlp(block.ln_2(prefix))
        return self.ln_final(x[:, -1]) @ self.text_projection


def _mixed(attn: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attention to more tokens than ask, [texts, heads, tokens, width] each."""
    seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    out: Tensor = attn.out_proj(seen.transpose(1, 2).flatten(2))
    return out


def token_ids(texts: list[str]) -> list[list[int]]:
    """Ids with the end token."""
    tokenizer = clip_tokenizer()
    return [[*tokenizer.encode(text), tokenizer.eot_token_id] for text in texts]


def by_length(ids: list[list[int]]) -> dict[int, NDArray[np.int64]]:
    """Indices of the texts of every length."""
    groups: dict[int, list[int]] = defaultdict(list)
    for index, each in enumerate(ids):
        groups[len(each)].append(index)
    return {length: np.array(rows) for length, rows in groups.items()}


class Space:
    """From MiniLM's 384 directions to the main ones of the phrases."""

    def __init__(self, folder: Path) -> None:
        path = folder / "basis.npy"
        if not path.is_file():
            sample = np.concatenate([np.load(p)[:8000] for p in sorted(folder.glob("phrases-???.npy"))[:4]])
            _, _, axes = np.linalg.svd(sample.astype(np.float32), full_matrices=False)
            np.save(path, axes[:MEANT].T.astype(np.float32))
        self.basis = np.load(path)

    def __call__(self, features: NDArray[np.float16]) -> Tensor:
        """Unit rows [texts, MEANT]."""
        return F.normalize(torch.from_numpy(features.astype(np.float32) @ self.basis), dim=-1)


def bag(rows: Tensor, folder: Path, space: Space, epochs: int = 12) -> Tensor:
    """Word rows [vocabulary, WIDTH] whose mean, each normalised, says what MiniLM says of whole phrases.

    The two spare columns let a word that means little take little room. A minute; most of what the tower reads.
    """
    table = F.pad(rows, (0, WIDTH - MEANT), value=0.02).requires_grad_()
    optimizer = torch.optim.Adam([table], 3e-3)
    loaded = [read_shard(path) for path in sorted(folder.glob("phrases-???.npy"))]
    ids = [each[:-1] for part, _ in loaded for each in part]
    meant = space(np.concatenate([part for _, part in loaded]))
    rng = np.random.default_rng(0)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - epoch / epochs)
        for part in np.array_split(rng.permutation(len(ids)), -(-len(ids) // 2048)):
            flat, sizes = torch.tensor([t for i in part for t in ids[i]]), torch.tensor([len(ids[i]) for i in part])
            distinct, place = flat.unique(return_inverse=True)
            seen = F.layer_norm(table[distinct], (WIDTH,))[place]
            owner = torch.repeat_interleave(torch.arange(len(part)), sizes)
            summed = torch.zeros(len(part), WIDTH).index_add(0, owner, seen)
            own, wanted = F.normalize(summed[:, :MEANT], dim=-1), meant[part]
            loss = (own - wanted).square().sum(1).mean() + 4 * (own @ own.T - wanted @ wanted.T).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"bag: epoch {epoch}, loss {float(loss):.4f}", flush=True)
    return table.detach()


def rows_of_tokens(folder: Path) -> NDArray[np.float16]:
    """MiniLM's feature of the string of every CLIP token, [vocabulary, 384]; made once."""
    path = folder / "tokens.npy"
    if not path.is_file():
        decoder = clip_tokenizer().decoder
        strings = [decoder[i].replace("</w>", "") or "." for i in range(VOCABULARY - 2)] + ["", ""]
        np.save(path, teacher.Teacher()(strings).astype(np.float16))
    return np.load(path)


def read_shard(path: Path) -> tuple[list[list[int]], NDArray[np.float16]]:
    """Ids and MiniLM's features of a shard; the words measured alone are left out."""
    texts, features = json.loads(path.with_suffix(".json").read_text(encoding="utf-8")), np.load(path)
    if path.stem == "phrases-000":
        kept = np.setdiff1d(np.arange(len(texts)), held(len(texts)))
        texts, features = [texts[i] for i in kept], features[kept]
    return token_ids(texts), features


def held(count: int) -> NDArray[np.int64]:
    """Which words of the first shard are held out: among the 12,000 most frequent."""
    return np.sort(np.random.default_rng(0).choice(min(count, 12_000), HELD, replace=False))


def batches(folder: Path, space: Space, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of equally long texts with their targets, from the shards there are so far."""
    rng = np.random.default_rng(seed)
    while True:
        paths = sorted(folder.glob("phrases-???.npy"))
        rng.shuffle(paths)
        for path in paths:
            ids, features = read_shard(path)
            parts = []
            for rows in by_length(ids).values():
                shuffled = rng.permutation(rows)
                parts += np.array_split(shuffled, max(1, round(len(rows) / BATCH)))
            for number in rng.permutation(len(parts)):
                rows = parts[number]
                if len(rows) > 16:
                    yield torch.tensor([ids[i] for i in rows]), space(features[rows])


def loss_of(tower: Tower, ids: Tensor, meant: Tensor, side: int) -> Tensor:
    """Squared distance of the three parts, and of the likenesses within the batch."""
    out = tower(ids, side)
    own = out[:, 2:] / ALPHA
    near = (own - meant).square().sum(1).mean()
    unit = F.normalize(own, dim=-1)
    likeness = (unit @ unit.T - meant @ meant.T).square().mean()
    sign = 1 if side else -1
    axes = (out[:, 0] - 1).square().mean() + (out[:, 1] / DEFECT - sign).square().mean()
    return near + 4 * likeness + 0.5 * axes


@torch.no_grad()
def encode(tower: Tower, texts: list[str], side: int = 1) -> Tensor:
    """Features of any texts."""
    ids = token_ids(texts)
    out = torch.empty(len(texts), EMBED)
    for rows in by_length(ids).values():
        for part in np.array_split(rows, -(-len(rows) // 1024)):
            out[part] = tower(torch.tensor([ids[i] for i in part]), side)
    return out


def measure(tower: Tower, folder: Path) -> dict[str, float]:
    """How near the tower is to MiniLM on phrases and words that it never saw."""
    path = folder / "held.npy"
    texts = phrases.shard(999)[:3000]
    if not path.is_file():
        np.save(path, teacher.Teacher()(texts))
    truth = np.load(path)
    ours = F.normalize(encode(tower, texts), dim=-1).numpy()
    rng = np.random.default_rng(1)
    a, b = rng.integers(len(texts), size=(2, 20_000))
    figures = {"spearman": float(spearmanr((truth[a] * truth[b]).sum(1), (ours[a] * ours[b]).sum(1))[0])}
    plain = [i for i, text in enumerate(texts) if not text.endswith(".")]
    a, b = rng.choice(plain, (2, 20_000))
    figures["spearman_plain"] = float(spearmanr((truth[a] * truth[b]).sum(1), (ours[a] * ours[b]).sum(1))[0])
    listed = json.loads((folder / "phrases-000.json").read_text())
    chosen = held(len(listed))
    theirs = np.load(folder / "phrases-000.npy")[chosen].astype(np.float32)
    mine = F.normalize(encode(tower, [listed[i] for i in chosen]), dim=-1).numpy()
    near = [np.argsort(-(m @ m.T) + 9 * np.eye(len(m)), 1)[:, :10] for m in (theirs, mine)]
    shared = np.array([len(set(x) & set(y)) for x, y in zip(*near, strict=True)])
    return figures | {"neighbours": float(shared.mean() / 10), "half_shared": float((shared >= 5).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    args = parser.parse_args()
    folder = args.work / "words"
    torch.manual_seed(0)
    space, tower = Space(folder), Tower()
    if not (args.work / "tower.pt").is_file():
        tower.start(bag(space(rows_of_tokens(folder)), folder, space))
        print("start", measure(tower, folder), flush=True)
    learn(tower, folder, space, args.minutes * 60, args.work / "tower.pt")
    print("end", measure(tower, folder), flush=True)


def learn(tower: Tower, folder: Path, space: Space, seconds: float, out: Path) -> None:
    """Adam with a learning rate that rises over a twentieth of the time and falls to zero; kept every 200 steps."""
    optimizer = torch.optim.Adam(tower.parameters(), PEAK, betas=(0.9, 0.98))
    sides, started, spent, step = random.Random(0), time.monotonic(), 0.0, 0
    if out.is_file():
        state = torch.load(out, weights_only=True)
        tower.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        spent, step = state["spent"], state["step"]
    for ids, meant in batches(folder, space, step):
        done = (time.monotonic() - started + spent) / seconds
        if done >= 1:
            break
        rate = PEAK * min(done * 20 + 0.02, 1) * float(1 + np.cos(np.pi * done)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(tower, ids, meant, sides.randrange(2))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step}, {done:.0%}, loss {float(loss):.4f}", flush=True)
        if step % 200 == 0:
            _keep(tower, optimizer, done * seconds, step, out)
        if step % 600 == 0:
            print(measure(tower, folder), flush=True)
    _keep(tower, optimizer, seconds, step, out)


def _keep(tower: Tower, optimizer: torch.optim.Optimizer, spent: float, step: int, out: Path) -> None:
    state = {"model": tower.state_dict(), "optimizer": optimizer.state_dict(), "spent": spent, "step": step}
    torch.save(state, out.with_suffix(".tmp"))
    out.with_suffix(".tmp").rename(out)


if __name__ == "__main__":
    main()
