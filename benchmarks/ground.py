"""How well `detector ground` points: pointing game, IoU, position words, and whether "there" is an answer.

    python -m benchmarks.ground DATA --share 0.5

DATA holds sets in MVTec's layout. Each defective photo is asked for the kind of its folder, in plain words (`PHRASES`),
and for another kind of the same set. Nothing is chosen on these sets. Intervals are bootstrap intervals over photos.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.context_data import Photos
from detector.context.bank import Bank
from detector.detect.detector import Detector
from detector.ground.areas import area_masks
from detector.ground.grounder import Grounder, Grounding
from detector.ground.places import region_within
from detector.ground.product import WHOLE, product_box
from detector.images.load import mask_at
from detector.localize.boxes import Box
from detector.localize.regions import region_at
from detector.scoring.feature_cache import FeatureCache

PHRASES = {
    "mvtec/transistor": ("transistor", {
        "bent_lead": "bent lead", "cut_lead": "cut lead", "damaged_case": "damaged case", "misplaced": "misplaced part",
    }),
    "magnetic_tile/magnetic_tile": ("magnetic tile", {
        "blowhole": "hole", "break": "broken edge", "crack": "crack", "fray": "rough texture", "uneven": "uneven stain",
    }),
    "mpdd/metal_plate": ("metal plate", {"defect": "rust or scratch"}),
    "mtoc/optical_lens": ("lens", {"defect": "scratch or dust"}),
    "glass_anomaly/glass_panel": ("glass", {"edge": "broken edge", "angle": "broken corner"}),
    "steel/steel": ("steel", {"inclusion": "inclusion of dirt", "patches": "patch of stain", "scratches": "scratch"}),
    "leather/leather_custom": ("leather", {"cut": "cut", "hole": "hole", "line": "scratch", "wrinkle": "wrinkle"}),
    "crackforest/road": ("road", {"crack": "crack"}),
}  # fmt: skip
"""Object name and phrase per kind, by set."""
ELSEWHERE = "missing piece"
"""Asked of sets with one kind of defect only."""
SIDE = 252
"""Side in pixels of the masks that maps are compared with."""


class Answer(NamedTuple):
    """What one photo was asked and answered."""

    good: bool
    own: Grounding
    other: Grounding
    hit: bool = False
    chance: float = 0.0
    iou: float = 0.0
    word: bool = False
    word_on_product: bool | None = None
    """None where the product fills its photo."""


def answers(folder: Path, detector: Detector, references: int, share: float) -> list[Answer]:
    """Of all photos of a set that are taken."""
    object_name, kinds = PHRASES[f"{folder.parent.name}/{folder.name}"]
    photos = Photos(folder, share)
    bank = None
    if references:
        bank = Bank.from_images(detector, photos.pool[:references])
    grounder = Grounder(detector, references=bank)
    listed, rows = list(kinds.values()), []
    for number, (path, kind) in enumerate(zip(photos.paths, photos.kinds, strict=True)):
        own = kinds.get(kind, listed[number % len(listed)])
        other = next((each for each in listed[number % len(listed) :] + listed if each != own), ELSEWHERE)
        pair = grounder.ground(path, [own, other], object_name=object_name)
        mask = folder / "ground_truth" / kind / f"{path.stem}_mask.png"
        if kind == "good":
            rows.append(Answer(True, *pair))
        elif mask.is_file() and (truth := mask_at(Image.open(mask), SIDE)).any():
            rows.append(_judged(pair, truth, product_box(detector.predictor.load(path))))
    return rows


def _judged(pair: list[Grounding], truth: NDArray[np.bool_], product: Box) -> Answer:
    own = pair[0]
    size = own.map.shape[0]
    row, column = (np.array(np.unravel_index(int(own.map.argmax()), own.map.shape)) * SIDE) // size
    marked = np.any(area_masks(own.map), axis=0)
    marked = np.asarray(Image.fromarray(marked).resize((SIDE, SIDE), Image.Resampling.NEAREST))
    rows, columns = np.nonzero(truth)
    x, y = float(columns.mean() + 0.5) / SIDE, float(rows.mean() + 0.5) / SIDE
    on_product = None
    if product is not WHOLE:
        on_product = own.region_on_product == region_within(Box(x, y, x, y), product)
    return Answer(
        False, own, pair[1], bool(truth[row, column]), float(truth.mean()),
        float((marked & truth).sum() / (marked | truth).sum()), own.region == region_at(x, y), on_product,
    )  # fmt: skip


def row(name: str, asked: list[Answer]) -> str:
    """One line of the table."""
    bad, good = [each for each in asked if not each.good], [each for each in asked if each.good]
    told = [each.word_on_product for each in bad if each.word_on_product is not None]
    cells = [
        name, str(len(bad)), interval([each.hit for each in bad]), f"{np.mean([each.chance for each in bad]):.3f}",
        interval([each.iou for each in bad]), interval([each.word for each in bad]), interval(told),
    ]  # fmt: skip
    if bad[0].own.present is not None:
        cells += [
            interval([bool(each.own.present) for each in bad]),
            interval([bool(each.other.present) for each in bad]),
            interval([bool(each.own.present) for each in good]),
        ]
    return f"| {' | '.join(cells)} |"


def interval(values: list[float] | list[bool]) -> str:
    """Mean with its bootstrap interval."""
    if not values:
        return "-"
    drawn = np.random.default_rng(0).choice(np.array(values, float), (1000, len(values))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{np.mean(values):.2f} ({low:.2f}-{high:.2f})"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--references", type=int, default=20)
    arguments.add_argument("--share", type=float, default=1.0)
    arguments.add_argument("--preset")
    args = arguments.parse_args()
    head = "| set | defective photos | pointing | chance | IoU | word in the photo | word on the product |"
    with tempfile.TemporaryDirectory() as folder:
        detector = Detector.from_pretrained(args.preset, cache=FeatureCache(Path(folder)))
        for references in (0, args.references):
            print(f"\n{references} good photos\n")
            more = " own kind present | other kind present | present on good |" if references else ""
            print(head + more + "\n" + "|---" * (head + more).count(" |") + "|")
            for name in PHRASES:
                if not references or (args.data / name / "train" / "good").is_dir():
                    print(row(name, answers(args.data / name, detector, references, args.share)), flush=True)


if __name__ == "__main__":
    main()
