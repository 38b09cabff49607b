"""One training step of the main stage against its straightforward implementation: processor time and peak memory.

    python -m benchmarks.bench_train_step                      # ViT-L-14-336 at 518, one thread, several minutes
    python -m benchmarks.bench_train_step --backbone ViT-B-16 --image-size 224 --levels 3 6 9 12 --single 3

Every way runs in a process of its own, so that its peak memory is its own. Weights are seeded, no download is needed.
straightforward   all prompts over 77 tokens, attention spelled out, six convolutions, gradients kept for all of CLIP
ours              what `detector train` does with augmentation: the image tower runs at every step
features kept     what it does without augmentation, from the second epoch on
adapter           a step of the second stage, features kept
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import seeded
from benchmarks.seeded import prompts, resident_peak
from detector.model.filo import FiLo
from detector.model.text_tower import TextFeatures
from detector.train.config import TrainConfig
from detector.train.losses import segmentation_terms
from detector.train.stages import Batch, filo_stages
from tests.support import straightforward

WAYS = ("straightforward", "ours", "features kept", "adapter")


def straightforward_loss(model: FiLo, batch: Batch) -> Callable[[], Tensor]:
    """The loss of the main stage by definition, with gradients kept for the whole text tower."""
    model.clip.requires_grad_(True)
    with torch.no_grad():
        features = model.encode_image(batch.pixels)  # the levels between, which `image_streams` does not hand out

    def loss() -> Tensor:
        with torch.no_grad():
            straightforward.image_streams(model, batch.pixels)
        normal, abnormal = straightforward.encode_text(model, features.embedding, batch.prompts[0], ())
        text = TextFeatures(normal[None], abnormal[None], ())
        conv = [straightforward.interaction(model, tokens, i) for i, tokens in enumerate(features.conv_tokens)]
        levels = (*model.decoder_linear(features.linear_tokens), *conv)
        units = tuple(torch.nn.functional.normalize(level, dim=-1) for level in levels)
        terms = segmentation_terms(model.anomaly_maps(units, text), batch.masks)
        return torch.stack(list(terms.values())).sum()

    return loss


def objective(model: FiLo, batch: Batch, way: str) -> tuple[Callable[[], Tensor], list[torch.nn.Parameter]]:
    """The loss of one step and what it trains."""
    stage = filo_stages(model, TrainConfig())[way == "adapter"]
    trained = []
    for name, parameter in stage.objective.named_parameters():
        parameter.requires_grad_(name in stage.rates)
        trained += [parameter] if name in stage.rates else []
    if way == "straightforward":
        return straightforward_loss(model, batch), trained
    if way != "ours":
        with torch.no_grad():
            batch = batch._replace(pixels=None, features=model.encode_image(batch.pixels))
    return lambda: torch.stack(list(stage.objective(batch).values())).sum(), trained


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Processor seconds of the last of some steps, its loss, and the peak memory of this process."""
    model = seeded.build(args).train()
    torch.manual_seed(1)
    pixels = torch.randn(args.batch, 3, args.image_size, args.image_size)
    masks = (torch.rand(args.batch, args.image_size, args.image_size) > 0.95).float()
    batch = Batch(pixels, masks, torch.ones(args.batch, dtype=torch.long), [prompts()] * args.batch)
    loss, trained = objective(model, batch, args.way)
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    for _ in range(args.steps):
        began = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        optimizer.step()
        spent = time.process_time() - began
    return {"seconds": spent, "loss": float(value.detach()), "peak_gb": resident_peak()}


def main() -> None:
    parser = seeded.parser(__doc__)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.way:
        print(json.dumps(measure(args)))
        return
    report = {}
    for way in WAYS:
        command = [sys.executable, "-m", f"benchmarks.{Path(__file__).stem}", *sys.argv[1:], "--way", way]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        report[way] = json.loads(done.stdout)
        print(way, report[way], file=sys.stderr, flush=True)
    for way in WAYS[1:3]:
        report[way]["ratio"] = report[WAYS[0]]["seconds"] / report[way]["seconds"]
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
