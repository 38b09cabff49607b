"""Images per second of `detector detect`, and which stage takes what share of the work.

    python -m benchmarks.bench_detect                    # mini, 20 images
    python -m benchmarks.bench_detect --preset vitl --images 3
    python -m benchmarks.bench_detect --memory 1000      # resident memory over that many small images

The images are drawn on the spot.
Shares are of process time, so that other work on the machine changes them little; images per second are wall time. A
preset without weights of its own runs with random ones: the arithmetic is the same.
"""

import argparse
import io
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from descriptions.store import PACKAGED, Store
from detector.data.sample_set import write_sample_set
from detector.detect.detector import Detector
from detector.detect.overlay import picture
from detector.images.load import to_image
from detector.images.tensors import to_pixels
from detector.localize.regions import REGIONS
from detector.model.filo import FiLo
from detector.model.text_tower import at_regions, text_features
from detector.scoring.predict import Encoded, ScoringSettings, combined_map, decide, peak
from detector.scoring.prompts import create_prompts
from detector.scoring.text_reader import TextReader
from detector.weights.factory import create_model
from detector.weights.registry import FOLDER, WEIGHTS, load_model, preset_config


class Clock:
    """Process seconds by stage."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge what happens inside to `name`."""
        start = time.process_time()
        yield
        self.spent[name] += time.process_time() - start


def model_of(preset: str) -> FiLo:
    """The preset's model; random where it would have to be downloaded."""
    if (FOLDER / preset / WEIGHTS).is_file():
        return load_model(preset)
    torch.manual_seed(0)
    model = create_model(preset_config(preset))
    model.decoder_cov.fold()
    return model


@torch.inference_mode()
def look(path: Path, model: FiLo, clock: Clock, before: TextReader | None = None) -> TextReader:
    """What `detect` does with one image and the localizer `self`, stage by stage; returns the text it read."""
    settings, prompts = ScoringSettings(), [create_prompts(Store(PACKAGED).load("capsule"))]
    with clock.stage("read the file"):
        image = to_image(path, 4096)
    with clock.stage("resize and normalise"):
        pixels = to_pixels(image, model.config)[None]
    with clock.stage("image tower"):
        features = model.encode_image(pixels)
    with clock.stage("decoders"):
        encoded = Encoded(features.embedding, model.patch_embeddings(features))
    with clock.stage("text, all nine regions"):
        reader = TextReader(model, encoded.embedding, before)
        (rows,) = reader.rows(prompts)
        text = text_features([rows])
    with clock.stage("first map"):
        place = peak(combined_map(model.anomaly_maps(encoded.patches, text), settings)[0])
    with clock.stage("map, score, reasons"):
        text = text_features([at_regions(rows, () if place.region is None else (REGIONS.index(place.region),))])
        (one,) = decide(model, encoded, prompts, text, [place], settings)
    with clock.stage("picture (with --out)"):
        picture(image, one.anomaly_map.numpy(), title="", subtitle="", boxes=one.boxes).save(
            io.BytesIO(), "PNG", compress_level=1
        )
    return reader


def resident() -> float:
    """Resident memory of this process in MB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def memory_curve(preset: str, images: int) -> None:
    """Print the resident memory after every tenth of `images` images of 64 pixels."""
    detector = Detector(model_of(preset), store=Store(PACKAGED), device="cpu")
    noise = (np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8) for number in range(images))
    print(f"{preset}: images, resident MB")
    for number, _ in enumerate(detector.stream(noise, "capsule"), 1):
        if number % (images // 10) == 0:
            print(number, round(resident()), flush=True)


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", type=int, metavar="IMAGES")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        memory_curve(options.preset, options.memory)
        return
    model, clock = model_of(options.preset), Clock()
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(write_sample_set(Path(folder)).glob("test/*/*.png"))
        paths = (paths * (options.images // len(paths) + 1))[: options.images]
        reader = look(paths[0], model, Clock())  # what is prepared once is not counted
        seconds = timed(lambda: [look(path, model, clock, reader) for path in paths] and None)
    total = sum(clock.spent.values())
    print(f"{options.preset}, {len(paths)} images of 320 pixels, {options.threads} thread(s)")
    print(f"{len(paths) / seconds:.2f} images per second, {1000 * total / len(paths):.0f} ms of CPU time per image\n")
    print("| stage | ms | share |\n|---|---|---|")
    for name, spent in clock.spent.items():
        print(f"| {name} | {1000 * spent / len(paths):.1f} | {100 * spent / total:.0f} % |")


if __name__ == "__main__":
    main()
