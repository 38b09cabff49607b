"""Does `mini` read? Every product left out in turn: its photos and its words, then measured on it.

Run: python -m benchmarks.reading --data DATA --work WORK [--size 252] [--out FILE]. Needs the cached features of
`tools.pretrain.features` and `tools.pretrain.painted`; the decoders of each left-out run are learned anew in between.
Intervals: 95 %, from a bootstrap over photos, the same draws for every kind of words, so that differences are paired.
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.reading_figures import Curves, balanced, draws_of, image_auroc, macro_f1, span
from descriptions.store import PACKAGED, Store
from detector.images.tensors import to_mask
from tools.pretrain import align, photos, phrases
from tools.pretrain import shots as cached
from tools.pretrain.kinds import SYNONYMS, WORDS

GRID = 84
"""Side that maps are measured at."""


class Words(NamedTuple):
    """Object name and descriptions."""

    name: str
    texts: tuple[str, ...]


def right(product: str) -> Words:
    """The library's first version where it describes the product, otherwise the phrases of `kinds`."""
    store = Store(PACKAGED)
    if product in store.categories():
        version = store.load(f"{product}@1")
        return Words(version.object_name, tuple(entry.text for entry in version.anomalies if entry.enabled))
    own = WORDS[product]
    return Words(own.name, tuple(phrase for kind in own.kinds.values() for phrase in kind))


def control(way: str, product: str) -> Words:
    """Words that are not the product's: none, another product's, or words drawn from MiniLM's vocabulary."""
    name, texts = right(product)
    if way == "right":
        return Words(name, texts)
    if way == "generic":
        return Words(name, ())
    if way == "other":
        names = list(photos.PRODUCTS)
        return Words(name, right(names[(names.index(product) + 5) % len(names)]).texts)
    rng = random.Random(product)
    return Words(name, tuple(" ".join(rng.sample(phrases.words()[300:9000], 4)) for _ in texts))


WAYS = ("right", "generic", "other", "random")


def direction(bank: align.Bank, words: Words, where: Sequence[str] = ("center", "top left", "bottom right")) -> Tensor:
    """Abnormal minus normal vector, averaged over states and regions as FiLo has it."""
    texts = [f"abnormal {words.name} with {text}" for text in words.texts]
    texts += [state.format(words.name) for state in phrases.STATES[:5]]
    rows = bank([f"{text} at {place}." for text in texts for place in where], 1)
    return F.normalize(rows.mean(0), dim=0) - bank.normal(words.name)


def anomaly_map(embedded: Tensor, towards: Tensor) -> NDArray[np.float32]:
    """Maps [photos, GRID, GRID] of unit patch embeddings [photos, levels, patches, EMBED]."""
    logits = align.SCALE * embedded @ towards
    side = int(logits.shape[2] ** 0.5)
    grid = logits.unflatten(2, (side, side))
    return F.interpolate(grid, (GRID, GRID), mode="bilinear", align_corners=True).sigmoid().mean(1).numpy()


def top(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the highest 1 % of every map."""
    flat = np.sort(maps.reshape(len(maps), -1), 1)
    return flat[:, -max(1, flat.shape[1] // 100) :].mean(1)


def naming(
    embedded: Tensor,
    bank: align.Bank,
    product: str,
    texts: dict[str, Sequence[str]],
    regions: Mapping[int, NDArray[np.int64]],
) -> list[str]:
    """The kind whose phrases stand out most in each photo's region, against what they say of all patches."""
    kinds = list(texts)
    rows = torch.stack(
        [F.normalize(bank([align.abnormal(product, t) for t in texts[k]], 1).mean(0), dim=0) for k in kinds]
    )
    said = (embedded @ rows.T).mean(1)
    flat = said.flatten(0, 1)
    mean, spread = flat.mean(0), flat.std(0)
    regions_ = torch.stack([said[index][region].mean(0) for index, region in regions.items()])
    return [kinds[int(index)] for index in ((regions_ - mean) / spread).argmax(1)]


def measure(
    product: str,
    shots: Sequence[cached.Shot],
    embedded: Tensor,
    bank: align.Bank,
    masks: NDArray,
    preset: Mapping[str, NDArray] | None = None,
) -> dict:
    """All figures of one product; beside those of `reading_preset` where it has run."""
    labels = np.array([bool(shot.regions) for shot in shots])
    times, out = draws_of(labels), {"photos": len(shots), "defective": int(labels.sum())}
    results, maps = {}, {}
    for way in WAYS:
        maps[way] = anomaly_map(embedded, direction(bank, control(way, product)))
        area, precision = Curves(maps[way], masks).values(times)
        results[way] = {"pixel_auroc": area, "pixel_ap": precision}
        if (~labels).sum() >= 10 and product != "glass_panel":
            flat = maps[way].reshape(len(shots), -1)
            results[way] |= {"top": image_auroc(top(maps[way]), labels, times)}
            results[way] |= {"peak": image_auroc(flat.max(1), labels, times)}
    for way in WAYS:
        for figure, values in results[way].items():
            out[f"{way} {figure}"] = span(values)
            if way != "right":
                out[f"right - {way} {figure}"] = span(results["right"][figure] - values)
    good = maps["right"][~labels]
    out["good photos' highest"] = float(np.median(good.reshape(len(good), -1).max(1))) if len(good) else None
    if preset and f"{product} maps" in preset:
        out |= beside_preset(product, preset, maps["right"], masks, labels)
    return out | _names(product, shots, embedded, bank, maps["right"])


def beside_preset(product: str, preset: Mapping[str, NDArray], maps: NDArray, masks: NDArray, labels: NDArray) -> dict:
    """Figures of the shipped model on the photos it was run on, and how far the new ones lie above them."""
    index = preset[f"{product} index"]
    theirs, ours, masks, labels = preset[f"{product} maps"], maps[index], masks[index], labels[index]
    times, out = draws_of(labels), {}
    figures = {"pixel_auroc": 0, "pixel_ap": 1}
    both = [Curves(each, masks).values(times) for each in (ours, theirs)]
    for name, place in figures.items():
        out[f"preset {name}"] = span(both[1][place])
        out[f"over preset {name}"] = span(both[0][place] - both[1][place])
    if (~labels).sum() >= 5 and product != "glass_panel":
        ours_, theirs_ = (image_auroc(top(each), labels, times) for each in (ours, theirs))
        out |= {"preset top": span(theirs_), "over preset top": span(ours_ - theirs_)}
    return out


def _names(product: str, shots: Sequence[cached.Shot], embedded: Tensor, bank: align.Bank, maps: NDArray) -> dict:
    kinds = WORDS[product].kinds
    if len(kinds) < 2:
        return {}
    bad = [index for index, shot in enumerate(shots) if shot.regions]
    truth = [shots[index].regions[0].kind for index in bad]
    side = int(embedded.shape[2] ** 0.5)
    small = F.adaptive_avg_pool2d(torch.from_numpy(maps)[:, None], side).flatten(1).numpy()
    regions = {
        "true": {index: cached.members(shots[index].regions[0].cover) for index in bad},
        "own": {index: np.argsort(-small[index])[: max(1, side * side // 100)] for index in bad},
    }
    sets = {"first": {k: p[:1] for k, p in kinds.items()}, "all": kinds, "synonyms": SYNONYMS.get(product, {})}
    out: dict[str, object] = {"chance": 1 / len(kinds)}
    for where, places in regions.items():
        for name, texts in sets.items():
            if texts:
                said = naming(embedded, bank, product, texts, places)
                out[f"naming {where} {name}"] = round(balanced(truth, said), 4)
                if name == "all":
                    out[f"f1 {where}"] = round(macro_f1(truth, said), 4)
                    out[f"confusion {where}"] = [
                        [sum(a == t and b == s for a, b in zip(truth, said, strict=True)) for s in kinds] for t in kinds
                    ]
    return out


def masks_of(data: Path, product: str) -> NDArray[np.bool_]:
    """Masks of a product's photos at the measured size."""
    listed = [photo for photo in photos.draw(data) if photo.product == product]
    empty = np.zeros((GRID, GRID), bool)
    return np.stack([to_mask(Image.open(p.mask), GRID).numpy() > 0 if p.mask else empty for p in listed])


def embed(shots: Sequence[cached.Shot], decoders: align.Decoders) -> Tensor:
    """Unit patch embeddings [photos, levels, patches, EMBED]."""
    parts = [align.decode(torch.from_numpy(np.asarray(shot.tokens[:, 1:])), decoders) for shot in shots]
    return torch.stack(parts)


def reader(work: Path, *, minilm: bool = False) -> align.Read:
    """The trained tower, or what it is asked for, from MiniLM itself: the most that a better tower could bring."""
    from tools.pretrain import teacher, tower

    if not minilm:
        model = tower.Tower()
        model.load_state_dict(torch.load(work / "tower.pt", weights_only=True)["model"])
        return lambda texts, side: F.normalize(tower.encode(model, list(texts), side), dim=-1)
    read, space = teacher.Teacher(), tower.Space(work / "words")
    return align.ideal(lambda texts: space(read(texts)))


def left_out(
    product: str,
    shots: Sequence[cached.Shot],
    rows: cached.Rows,
    parts: dict,
    bank: align.Bank,
    steps: int,
    strength: float,
) -> align.Decoders:
    """Decoders learned without a product, and never from the development sets."""
    unseen = {product, *photos.DEVELOPMENT}
    start = align.ridge([part for (name, _), part in parts.items() if name not in unseen], strength)
    kept = [index for index, shot in enumerate(shots) if shot.product not in unseen]
    return align.refine(start, shots, rows, bank, steps=steps, among=kept)


def markdown(table: Mapping[str, Mapping[str, object]]) -> str:
    """Three tables: what is found, what the words change, and what is named."""
    lines = ["| left out | image AUROC, top 1 % | over preset | pixel AUROC | over preset | pixel AP | over preset |"]
    lines.append("|---" * 7 + "|")
    for product, row in table.items():
        cells = [
            _cell(row, f"{side}{name}")
            for name in ("top", "pixel_auroc", "pixel_ap")
            for side in ("right ", "over preset ")
        ]
        lines.append(f"| {product} | {' | '.join(cells)} |")
    lines += ["", "| right words over | generic | another product's | random |", "|---" * 4 + "|"]
    for product, row in table.items():
        for name in ("pixel_ap", "top"):
            cells = [_cell(row, f"right - {way} {name}", "+.3f") for way in WAYS[1:]]
            if any(cells):
                lines.append(f"| {product}, {name.replace('_', ' ')} | {' | '.join(cells)} |")
    lines += ["", "| naming | chance | true region | macro-F1 | own region | synonyms, true region |", "|---" * 6 + "|"]
    for product, row in table.items():
        if "chance" in row:
            names = ("chance", "naming true all", "f1 true", "naming own all", "naming true synonyms")
            lines.append(f"| {product} | {' | '.join(f'{row[name]:.2f}' for name in names)} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, object], name: str, style: str = ".3f") -> str:
    values = row.get(name)
    return f"{values[0]:{style}} [{values[1]:.3f}, {values[2]:.3f}]" if isinstance(values, list) else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--size", type=int, default=252)
    parser.add_argument("--steps", type=int, default=align.STEPS)
    parser.add_argument("--strength", type=float, default=align.STRENGTH)
    parser.add_argument("--minilm", action="store_true", help="read with MiniLM in place of the tower")
    parser.add_argument("--products", nargs="*", default=list(photos.PRODUCTS))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    shots, bank = cached.load(args.work, args.size), align.Bank(reader(args.work, minilm=args.minilm))
    rows = cached.sample(shots)
    preset = dict(np.load(args.work / "preset.npz")) if (args.work / "preset.npz").is_file() else None
    parts, table = align.sums(shots, rows, bank), {}
    for product in args.products:
        decoders = left_out(product, shots, rows, parts, bank, args.steps, args.strength)
        own = [shot for shot in shots if shot.product == product and not shot.painted]
        with torch.no_grad():
            masks = masks_of(args.data, product)
            table[product] = measure(product, own, embed(own, decoders), bank, masks, preset)
        print(product, json.dumps(table[product]), flush=True)
        if args.out:
            args.out.write_text(json.dumps(table, indent=1), encoding="utf-8")
    print(markdown(table))


if __name__ == "__main__":
    main()
