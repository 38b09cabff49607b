"""Seconds per photo of the image tower and the decoders in each runtime, beside PyTorch in fp32 in the same run.

    python -m benchmarks.runtimes                        # mini, batches of 1 and 8
    python -m benchmarks.runtimes --preset vitl --batches 1 --rounds 3

Rounds alternate between the runtimes, so that other work on the machine meets all of them; the figure is the fastest
round. Words and maps are not part of it: they are read by PyTorch in every runtime. A preset without weights of its own
runs with random ones. AUROC and differences are those of whole scores on the drawn sample set.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.bench_detect import model_of
from detector.data.sample_set import write_sample_set
from detector.detect.detector import Detector
from detector.export.runtimes import create_encoder
from detector.metrics import image_metrics
from detector.model.filo import FiLo
from detector.scoring.predict import Encoded, encode

Encode = Callable[[torch.Tensor], Encoded]


def encoders(model: FiLo, folder: Path) -> dict[str, tuple[Encode, dict[str, object]]]:
    """By name: what encodes a batch, and the options of a detector that does so."""
    half = copy.deepcopy(model).bfloat16()
    ways: dict[str, tuple[Encode, dict[str, object]]] = {
        "torch fp32": (lambda pixels: encode(model, pixels), {"precision": "fp32"}),
        "torch bf16": (lambda pixels: encode(half, pixels), {"precision": "bf16"}),
    }
    for name in ("onnx", "openvino"):
        encoder = create_encoder(model, name, folder)
        ways[f"{name} fp32"] = (encoder, {"precision": "fp32", "encoder": encoder})
    return ways


def seconds(ways: dict[str, Encode], pixels: torch.Tensor, rounds: int) -> dict[str, float]:
    """Fastest of some rounds, per photo."""
    best = dict.fromkeys(ways, float("inf"))
    for number in range(rounds + 1):
        for name, run in ways.items():
            start = time.perf_counter()
            with torch.inference_mode():
                run(pixels)
            if number:  # the first warms up
                best[name] = min(best[name], (time.perf_counter() - start) / len(pixels))
    return best


def quality(model: FiLo, options: dict[str, dict[str, object]]) -> dict[str, tuple[float, float]]:
    """AUROC, and the largest difference of a score from PyTorch's in fp32 as a share of their spread."""
    with tempfile.TemporaryDirectory() as folder:
        test = write_sample_set(Path(folder)) / "test"
        paths = sorted(test.rglob("*.png"))
        labels = np.array([path.parent.name != "good" for path in paths])
        scores = {
            name: Detector(copy.deepcopy(model), device="cpu", **more).score(paths, "capsule")  # type: ignore[arg-type]
            for name, more in options.items()
        }
    exact = scores["torch fp32"]
    auroc = {name: image_metrics(values, labels).values["image_auroc"] or 0.0 for name, values in scores.items()}
    return {name: (auroc[name], float(np.abs(each - exact).max() / exact.std())) for name, each in scores.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--preset", default="mini")
    arguments.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--threads", type=int)
    args = arguments.parse_args()
    torch.set_num_threads(args.threads or torch.get_num_threads())
    model = model_of(args.preset).requires_grad_(False).eval()
    size = model.config.image_size
    with tempfile.TemporaryDirectory() as folder:
        ways = encoders(model, Path(folder))
        timed = {}
        for batch in args.batches:
            pixels = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
            timed[batch] = seconds({name: run for name, (run, _) in ways.items()}, pixels, args.rounds)
        judged = quality(model, {name: more for name, (_, more) in ways.items()}) if args.preset == "mini" else {}
    print(f"{args.preset}, {size} pixels, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    heads = [f"batch {batch}: s per photo | times fp32" for batch in args.batches]
    print(f"| runtime | {' | '.join(heads)} | AUROC | largest difference |")
    print("|---" * (3 + 2 * len(heads)) + "|")
    for name in ways:
        cells = [f"{each[name]:.3f} | {each['torch fp32'] / each[name]:.2f}" for each in timed.values()]
        more = f"{judged[name][0]:.3f} | {judged[name][1]:.1e}" if judged else "- | -"
        print(f"| {name} | {' | '.join(cells)} | {more} |")


if __name__ == "__main__":
    main()
