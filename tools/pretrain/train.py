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

from tools.pretrain import captions, corpus, objective
from tools.pretrain.samples import Sample, Stream
from tools.pretrain.student import Student
from tools.pretrain.teacher import CHANNELS, Teacher

ARCHITECTURE = Path(__file__).parents[2] / "detector" / "presets" / "mini" / "open_clip.json"
LEVELS, SINGLE_PATH = (2, 4, 6), 2
WEIGHTS = {"mask": 1.0, "image": 0.4, "words": 0.2, "teacher": 3.0}
log = logging.getLogger("pretrain")


def build(seed: int) -> Student:
    """A fresh student; rows of words that training never shows are zero."""
    torch.manual_seed(seed)
    student = Student(ARCHITECTURE, LEVELS, SINGLE_PATH, CHANNELS)
    rows = student.clip.token_embedding.weight.data
    shown = objective.tokens(every_text()).unique()
    kept = rows[shown].clone()
    rows.zero_()
    rows[shown] = kept
    return student


def every_text() -> list[str]:
    """Texts that together hold every word of training."""
    phrases = [p for group in captions.KINDS.values() for p in group]
    states = [s.format("") for s in captions.NORMAL + captions.GENERIC]
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
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="end the schedule by then, however many steps were done"
    )
    parser.add_argument("--no-teacher", action="store_true", help="the comparison run: masks and words only")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    student = build(args.seed)
    optimizer = torch.optim.AdamW(student.parameters(), betas=(0.9, 0.98), weight_decay=0.02)
    state, step, done = args.out / "last.pt", 0, 0.0
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        student.load_state_dict(saved["student"])
        optimizer.load_state_dict(saved["optimizer"])
        step, done = saved["step"], saved["done"]
    stream = Stream(corpus.load(args.data), student.clip.visual.image_size[0], args.seed + 1000 * step)
    loader = iter(DataLoader(stream, args.batch, num_workers=1, prefetch_factor=4, collate_fn=list))
    teacher = None if args.no_teacher else Teacher().to(memory_format=torch.channels_last)
    words, start = random.Random(args.seed + step), time.monotonic()
    while done < 1:
        progress = max(step / args.steps, (time.monotonic() - start) / 60 / args.minutes)
        done = min(1.0, max(done, progress))
        terms = advance(
            student,
            teacher,
            optimizer,
            next(loader),
            words,
            rate(round(step if done < 0.06 else done * args.steps), args.steps, args.rate),
        )
        step += 1
        if step % 20 == 0:
            log.info(
                "%s", json.dumps({"step": step, "done": round(done, 3)} | {k: round(v, 4) for k, v in terms.items()})
            )
        if step % 100 == 0 or done >= 1:
            torch.save(
                {"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "done": done},
                state,
            )
    log.info("done after %d steps", step)


def advance(
    student: Student,
    teacher: Teacher | None,
    optimizer: torch.optim.Optimizer,
    batch: list[Sample],
    rng: random.Random,
    pace: float,
) -> dict[str, float]:
    """One optimiser step; returns the terms."""
    for group in optimizer.param_groups:
        group["lr"] = pace
    pixels = torch.stack([s.pixels for s in batch])
    side = student.clip.visual.grid_size[0]
    with torch.autocast("cpu", torch.bfloat16):
        shown = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        taught = None if teacher is None else teacher(shown, side)
        features = student.encode_image(objective.normalise(pixels))
        terms = objective.losses(student, features, objective.write(batch, rng), batch, taught)
    total = sum((WEIGHTS[k] * v for k, v in terms.items()), torch.zeros(()))
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    optimizer.step()
    return {k: float(v.detach()) for k, v in terms.items()}


if __name__ == "__main__":
    main()
