"""Peak memory of `detector eval` over thousands of images with maps of 518 x 518, as the run goes on.

    python -m benchmarks.bench_eval_memory --data DATA [DATA ...] [--images 2000]

All test images of the data sets are taken for one product. The backbone is small and seeded, since memory that grows
with the number of images would lie in what is kept of them, not in the model.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch

from benchmarks.seeded import resident_peak
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.data import DataSet, Sample, open_data
from detector.evaluate.comparison import Plan
from detector.evaluate.scorer import Scorer
from detector.model.config import ModelConfig
from detector.runs.evaluate import evaluate
from detector.scoring.predictor import Predictor
from detector.weights.factory import create_model

ARCHITECTURE = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 518, "layers": 4, "width": 64, "head_width": 32, "patch_size": 37},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
MODEL = ModelConfig(
    backbone="small", architecture=ARCHITECTURE, image_size=518, feature_levels=(1, 2, 3, 4), single_path_blocks=1
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = create_model(MODEL).eval()
    samples = [sample for root in args.data for sample in open_data(root).select(split="test")]
    samples_used = sorted(Sample("product", "test", s.defect, s.image, s.mask) for s in samples[: args.images])
    entries = (Anomaly(id="a0", text="dark hole"), Anomaly(id="a1", text="long scratch"))
    curve: dict[str, float] = {}
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if done in (1, 50, 100, 200) or done % 500 == 0:
            curve[str(done)] = resident_peak()
            print(done, curve[str(done)], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "library")
        store.save(DescriptionFile(category="product", object_name="product", anomalies=entries))
        data = DataSet(args.data[0], "manifest", tuple(samples_used), ())
        scorer = Scorer(Predictor(model, device="cpu"), contributions=False)
        out = Path(folder) / "out"
        evaluate(Plan(data, store, ("product@1",), out, draws=args.draws), scorer, tick=tick)
        curve["summary"] = resident_peak()
        cached = sum(path.stat().st_size for path in out.rglob("*.npz"))
    print(
        json.dumps(
            {"images": len(samples_used), "peak_gb": curve, "records_mb_an_image": cached / len(samples_used) / 1e6}
        )
    )


if __name__ == "__main__":
    main()
