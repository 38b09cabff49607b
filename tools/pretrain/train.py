"""One command: `python -m tools.pretrain.train --data DIR --out DIR`; started again it goes on where it stopped."""

import argparse
import json
import logging
import math
import random
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from descriptions.format.schema import NORMAL_STATES
from detector.model.image_tower import resize_positions
from tools.pretrain import backbone, captions, corpus, objective, words
from tools.pretrain.samples import Sample, Stream
from tools.pretrain.student import Student, config

FROZEN = 6
"""First blocks of a tower that knows something already, which keep their weights."""
WEIGHTS = {"mask": 1.0, "image": 0.4, "words": 0.3}
log = logging.getLogger("pretrain")


def build(seed: int, size: int, start: str = "random") -> Student:
    """A fresh student; rows of words that training never shows are zero.

    Args:
        seed: Of everything that is drawn.
        size: Side of the training images in pixels.
        start: `dinov2`: the image tower begins as DINOv2's first blocks, of which the first `FROZEN` stay as they are;
            `random`: all of it is drawn and trained.
    """
    torch.manual_seed(seed)
    student = Student(config(size), FROZEN if start == "dinov2" else 0)
    if start == "dinov2":
        _begin(student)
    rows = student.clip.token_embedding.weight.data
    shown = objective.tokens(every_text()).unique()
    kept = rows[shown].clone()
    rows.zero_()
    rows[shown] = kept
    return student


def _begin(student: Student) -> None:
    visual = student.clip.visual
    taken = backbone.weights(len(visual.transformer.resblocks))
    taken["positional_embedding"] = resize_positions(taken["positional_embedding"], visual.grid_size[0])
    visual.load_state_dict(visual.state_dict() | taken)


def every_text() -> list[str]:
    """Texts that together hold every word of training."""
    phrases = [p for group in captions.KINDS.values() for p in group]
    phrases += [f"{product} {text}" for group in captions.library().values() for product, text in group]
    phrases += captions.flawless()
    states = [s.format("") for s in NORMAL_STATES + captions.GENERIC]
    subjects = [
        *captions.SUBJECTS,
        *corpus.SOURCES.values(),
        "banded blotchy braided bubbly bumpy",
        "chequered",
        "crosshatched crystalline",
    ]
    return [f"abnormal {t} at texture, with." for t in [*phrases, *states, *subjects, *captions.POSITIONS]] + ["end."]


def rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 100 steps, then half a cosine down to 2 %."""
    if step < 100:
        return peak * (step + 1) / 100
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - 100) / max(1, steps - 100))))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and the log")
    parser.add_argument(
        "--size", type=int, default=224, help="side of the training images; positions are resized later"
    )
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--word-steps", type=int, default=700, help="of the first phase, the text tower alone")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="end the schedule by then, however many steps were done"
    )
    parser.add_argument("--start", choices=("dinov2", "random"), default="dinov2", help="random: the comparison run")
    parser.add_argument("--products", type=float, default=0.15, help="share of made-up products among the images")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


class Run:
    """The student, its optimiser and how far it is; saved whole, so that a killed run goes on.

    Args:
        args: the command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.state = args, args.out / "last.pt"
        self.student = build(args.seed, args.size, args.start)
        self.step, self.done, self.begun, self.start = 0, 0.0, 0.0, time.monotonic()
        self.optimizer = torch.optim.AdamW(groups(self.student), betas=(0.9, 0.98), weight_decay=0.02)
        if self.state.is_file():
            self._resume()
        else:
            words.learn(self.student, args.seed, args.word_steps)

    def _resume(self) -> None:
        saved = torch.load(self.state, weights_only=True)
        self.student.load_state_dict(saved["student"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.done, self.begun = saved["step"], saved["done"], saved["done"]
        log.info("goes on after %d steps", self.step)

    def save(self) -> None:
        """Write the state; a kill in between leaves the one before."""
        staged = self.state.with_suffix(".tmp")
        parts = {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(parts | {"step": self.step, "done": self.done}, staged)
        staged.replace(self.state)

    def pace(self) -> float:
        """The learning rate of the next step, by steps or by minutes, whichever is further along."""
        spent = self.begun + (time.monotonic() - self.start) / 60 / self.args.minutes
        self.done = min(1.0, max(self.done, self.step / self.args.steps, spent))
        return rate(round(self.done * self.args.steps), self.args.steps, self.args.rate)

    def learn(self) -> None:
        """All steps that are left."""
        data = Stream(
            corpus.load(self.args.data), self.args.size, self.args.seed + 1000 * self.step, self.args.products
        )
        rng, self.start = random.Random(self.args.seed + self.step), time.monotonic()
        for batch in DataLoader(data, self.args.batch, collate_fn=list):
            pace = self.pace()
            terms = advance(self.student, self.optimizer, batch, rng, pace)
            self.step += 1
            if self.step % 10 == 0:
                found = {name: round(value, 4) for name, value in terms.items()}
                log.info("%s", json.dumps({"step": self.step, "done": round(self.done, 3)} | found))
            if self.step % 50 == 0 or self.done >= 1:
                self.save()
            if self.done >= 1:
                return


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    torch.set_num_threads(args.threads)
    Run(args).learn()


def groups(student: Student) -> list[dict[str, object]]:
    """Parameters to train; those of a tower that knows something already move at a tenth of the rate."""
    known = [p for p in student.clip.visual.transformer.parameters() if p.requires_grad] if student.frozen else []
    ids = {id(p) for p in known}
    fresh = [p for p in student.parameters() if p.requires_grad and id(p) not in ids]
    return [{"params": fresh, "share": 1.0}, *([{"params": known, "share": 0.1}] if known else [])]


def advance(
    student: Student, optimizer: torch.optim.Optimizer, batch: list[Sample], rng: random.Random, pace: float
) -> dict[str, float]:
    """One optimiser step; returns the terms."""
    for group in optimizer.param_groups:
        group["lr"] = pace * group["share"]
    pixels = torch.stack([s.pixels for s in batch])
    features = student.encode_image(objective.normalise(pixels))
    terms = objective.losses(student, features, objective.write(batch, rng), batch)
    total = sum((WEIGHTS[k] * v for k, v in terms.items()), torch.zeros(()))
    optimizer.zero_grad(set_to_none=True)
    if total.requires_grad:  # a batch may hold nothing to learn from
        total.backward()
    torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    optimizer.step()
    return {k: float(v.detach()) for k, v in terms.items()}


if __name__ == "__main__":
    main()
