"""What evaluating a changed description file costs where the images were evaluated before, and that no number changes.

    python -m benchmarks.bench_eval_cache                     # ViT-L-14-336 at 518, one thread, several minutes
    python -m benchmarks.bench_eval_cache --backbone ViT-B-16 --image-size 224 --levels 3 6 9 12 --single 3

Processor time an image, everything included (reading, both passes of the localizer, controls, leaving every description
out, counting pixels). Weights are seeded, images are drawn, no download is needed.
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks import seeded
from descriptions.format.schema import Anomaly, DescriptionFile
from detector.data import open_data
from detector.data.sample_set import write_sample_set
from detector.evaluate.records import Record
from detector.evaluate.scorer import Scorer
from detector.evaluate.variants import Variant, controls, describe
from detector.scoring.feature_cache import FeatureCache
from detector.scoring.predictor import Predictor

TEXTS = (
    "crack in the cap", "dented body", "scratch on the body", "faded print", "misprinted letters", "hole in the cap",
    "dark stain", "squeezed end", "chipped edge", "loose cap", "foreign fibre", "uneven colour",
)  # fmt: skip


def variants(texts: tuple[str, ...]) -> list[Variant]:
    """A version and its controls."""
    entries = tuple(Anomaly(id=f"a{index}", text=text) for index, text in enumerate(texts))
    file = DescriptionFile(category="capsule", object_name="capsule", anomalies=entries)
    return [describe("version", file, 12), *controls(file, 12)]


def same(first: Record, second: Record) -> bool:
    """Whether scores and pixel counts are equal to the bit."""
    arrays = [[one.scores, *(array for counts in one.counts for array in counts)] for one in (first, second)]
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


def timed(scorer: Scorer, samples: list, texts: tuple[str, ...]) -> tuple[float, list[Record]]:
    """CPU seconds per image, and the records."""
    compared, began = variants(texts), time.process_time()
    records = [scorer.score(sample, compared) for sample in samples]
    return (time.process_time() - began) / len(samples), records


def main() -> None:
    parser = seeded.parser(__doc__)
    parser.add_argument("--images", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = seeded.build(args).eval()
    model.decoder_cov.fold()
    changed, new = (*TEXTS[:-1], "bent shell"), tuple(f"{text} there" for text in TEXTS)
    with tempfile.TemporaryDirectory() as folder:
        write_sample_set(Path(folder) / "data")
        data = open_data(Path(folder) / "data").select(split="test")
        samples = [data[int(index)] for index in np.linspace(0, len(data) - 1, args.images)]
        bare = Scorer(Predictor(model, device="cpu"))
        cached = Scorer(Predictor(model, device="cpu", cache=FeatureCache(Path(folder) / "cache")))
        _ = cached.predictor.weights  # a digest of all weights, once per run
        first, _ = timed(cached, samples, TEXTS)
        warm, records = timed(cached, samples, changed)
        again, _ = timed(cached, samples, changed)
        rewritten, _ = timed(cached, samples, new)
        uncached, expected = timed(bare, samples, changed)
    report = {
        "first": first,
        "one phrase changed": warm,
        "ratio": first / warm,
        "nothing changed": again,
        "every phrase changed": rewritten,
        "without cache": uncached,
        "bit_equal": all(map(same, records, expected)),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
