"""The model against its straightforward implementation, in one run: CPU or GPU time, memory, and what bf16 changes.

    python -m benchmarks.bench_model                        # ViT-L-14-336 at 518, one thread, a few minutes
    python -m benchmarks.bench_model --backbone ViT-B-16 --image-size 224 --levels 3 6 9 12 --single 3
    python -m benchmarks.bench_model --device cuda --batch 1 4 16 32

On the CPU the processor time of this process is taken, so that other work on the machine disturbs little; ratios are
between numbers of one run. Weights are seeded, no download is needed.
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import seeded
from benchmarks.seeded import prompts, resident_peak
from detector.model.filo import FiLo
from detector.scoring.maps import image_score, mean_map
from detector.scoring.prompts import PromptSet
from detector.weights.checkpoint import save_checkpoint
from detector.weights.registry import load_model
from tests.support import straightforward

POSITION = (4,)


def seconds(step: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Time of one call: processor time on the CPU, wall time between synchronisations on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        step()
        torch.cuda.synchronize()
    start = clock()
    result = step()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start, result


def straightforward_steps(model: FiLo, pixels: torch.Tensor, words: PromptSet) -> dict[str, float]:
    """Every step without shortcuts, one image."""
    device = pixels.device.type
    image, (x, y) = seconds(lambda: straightforward.image_streams(model, pixels), device)
    embedding = model.clip.visual.ln_post(x[:, 0]) @ model.clip.visual.proj
    text, _ = seconds(lambda: straightforward.encode_text(model, embedding, words, POSITION), device)
    levels = range(len(model.config.conv_levels))
    conv, _ = seconds(lambda: [straightforward.interaction(model, y[:, 1:], level) for level in levels], device)
    return {"image": image, "text": text, "decoders": conv}


Result = tuple[dict[str, float], torch.Tensor, torch.Tensor]


def our_steps(model: FiLo, pixels: torch.Tensor, words: PromptSet) -> Result:
    """The steps of the model as it runs, with the score and anomaly map."""
    device = pixels.device.type
    positions = [POSITION] * len(pixels)
    image, features = seconds(lambda: model.encode_image(pixels), device)
    model.decode(features)  # sums the kernels, once for as many images as follow
    text, written = seconds(lambda: model.encode_text(features.embedding, [words], positions), device)
    decoders, patches = seconds(lambda: model.patch_embeddings(features), device)
    maps, anomaly_map = seconds(lambda: mean_map(model.anomaly_maps(patches, written)), device)
    score = image_score(model.similarity(features.embedding, written), anomaly_map)
    return {"image": image, "text": text, "decoders": decoders, "maps": maps}, score, anomaly_map


def total(steps: dict[str, float]) -> float:
    return sum(steps.values())


def peak_memory(args: argparse.Namespace) -> float:
    """Peak resident memory in GB of a process that loads a checkpoint of this model and scores one image in fp32."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_checkpoint(seeded.build(args, args.variant), path, whole=True)
        command = [sys.executable, "-m", "benchmarks.bench_model", "--memory-of", str(path)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@torch.inference_mode()
def load_and_score(path: Path) -> None:
    """What `detect` does with one image."""
    model = load_model(checkpoint=path)
    size = model.config.image_size
    model(torch.randn(1, 3, size, size), [prompts()], [POSITION])


@torch.inference_mode()
def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All numbers of a run."""
    model, words = seeded.build(args, args.variant).to(args.device), prompts()
    pixels = torch.randn(max(args.batch), 3, args.image_size, args.image_size, device=args.device)
    low = copy.deepcopy(model).to(torch.bfloat16)
    straight = straightforward_steps(model, pixels[:1], words)
    print("straightforward", straight, file=sys.stderr, flush=True)
    report: dict[str, Any] = {"straightforward": straight, "batches": []}
    for batch in args.batch:
        ours, score, anomaly_map = our_steps(model, pixels[:batch], words)
        print("fp32", ours, file=sys.stderr, flush=True)
        half, low_score, low_map = our_steps(low, pixels[:batch], words)
        report["batches"].append(
            {
                "batch": batch,
                "fp32": ours,
                "bf16": half,
                "ratio_text": batch * straight["text"] / ours["text"],
                "ratio_fp32": batch * total(straight) / total(ours),
                "ratio_bf16": batch * total(straight) / total(half),
                "bf16_score_difference": (score - low_score).abs().max().item(),
                "bf16_heat_difference": (anomaly_map - low_map).abs().max().item(),
            }
        )
    return report


def main() -> None:
    parser = seeded.parser(__doc__)
    parser.add_argument("--variant", default="filo")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        load_and_score(args.memory_of)
        print(resident_peak())
        return
    report = measure(args)
    if args.device == "cpu":
        report["peak_memory_gb_fp32"] = peak_memory(args)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
