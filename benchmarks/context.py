"""What good photos, and photos among each other, add, beside what others published, on the same tokens.

    python -m benchmarks.context --data DATA                                  # figures of all development sets
    python -m benchmarks.context --data DATA --what peers --references 4 --share 0.5
    python -m benchmarks.context --data DATA --what thresholds --sets mvtec/transistor
    python -m benchmarks.context --data DATA --what naming

`figures`: plain nearest neighbours and ours, by the number of references, over draws of them, and among each other.
`tries`: other ways to compare and to score (`benchmarks.context_tries`).
`peers`: AnomalyDINO, PatchCore and MuSc as published (`benchmarks.context_peers`), with seconds and megabytes.
`thresholds`: false alarms promised and observed (`benchmarks.context_thresholds`).
`naming`: whether the first phrase names the kind of defect (`benchmarks.context_naming`).
`--share` takes a part of the photos, drawn by a seed; `--tokens DIR` keeps tokens for the next run.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import context_naming, context_thresholds, context_tries
from benchmarks.context_data import SETS, Photos, Tokens
from benchmarks.context_pairs import Pairs, pairs, plain, spread_taken_off
from benchmarks.context_peers import Scored, anomaly_dino, musc, patch_core
from detector.context.calibration import top_mean
from detector.context.distances import mutual_distances
from detector.context.tokens import ContextReader, Levels, context_fingerprint
from detector.weights.registry import load_model

POOL = 24
"""Photos that references of `figures` and `peers` are drawn from."""
GOOD = 100
"""Good photos of `thresholds`: those that references are drawn from, and those held out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--what", choices=("figures", "tries", "peers", "thresholds", "naming"), default="figures")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--references", type=int, action="append")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="part of the photos, at most 1")
    parser.add_argument("--size", type=int, help="side in pixels that photos are compared at")
    parser.add_argument("--tokens", type=Path, help="folder that keeps tokens for the next run")
    parser.add_argument("--ways", nargs="+", default=[*MEGABYTES, "MuSc"], help="of `peers`")
    parser.add_argument("--coarse", action="store_true", help="average 2 x 2 patches: sixteen times cheaper")
    parser.add_argument("--preset")
    args = parser.parse_args()
    if args.what == "naming":
        print("\n".join(context_naming.table(args.data, args.preset, args.share)))
        return
    reader = ContextReader(load_model(args.preset), size=args.size)
    counts = args.references or (1, 2, 4, 8, 16)
    print(f"| {HEADS[args.what]} |\n{'|---' * len(HEADS[args.what].split('|'))}|")
    for name in args.sets:
        photos = Photos(args.data / name, args.share)
        model = context_fingerprint(reader.model)[:8]
        file = args.tokens / f"{photos.name}-{reader.size}-{model}.pt" if args.tokens else None
        tokens = Tokens(reader, file, coarse=args.coarse)
        measure = partial(peers, ways=args.ways) if args.what == "peers" else WHAT[args.what]
        for line in measure(photos, tokens, counts, args.draws):
            print(line, flush=True)
        tokens.save()


FIGURES = "set | way | references | image AUROC | spread | pixel AUROC | pixel AP | AUPRO"
HEADS = {
    "figures": FIGURES,
    "tries": "set | way | references | image AUROC, half to choose on | other half | spread",
    "peers": f"{FIGURES} | seconds a photo | MB",
    "thresholds": "set | references | way | promised | false alarms (95 %) | defects found",
}
"""Columns of the tables."""


def figures(photos: Photos, tokens: Tokens, counts: Sequence[int], draws: int) -> list[str]:
    """Plain nearest neighbours and ours."""
    pool = photos.pool[:POOL]
    each, among = pairs(tokens, photos.paths, pool), pairs(tokens, pool, pool)
    lines = []
    for count in counts:
        ways: dict[str, list[list[float]]] = {"plain": [], "ours": []}
        for draw in range(draws):
            drawn = random.Random(draw).sample(range(len(pool)), min(count, len(pool)))
            near, refs = each.beside(drawn), Pairs(among.far[drawn], among.index[drawn]).beside(drawn)
            maps = plain(near)
            ways["plain"].append(list(photos.figures([top_mean(one) for one in maps], list(maps))))
            if count > 1:
                scores, _ = context_thresholds.scored(near, refs, tokens.grid)
                ways["ours"].append(list(photos.figures(list(scores), list(spread_taken_off(near, refs)))))
        lines += [_row(photos.name, way, str(count), values) for way, values in ways.items() if values]
    return [*lines, *_among_each_other(photos, tokens)]


def _among_each_other(photos: Photos, tokens: Tokens) -> list[str]:
    maps = [values.numpy() for values in mutual_distances(tokens.all(photos.paths))]
    return [_row(photos.name, "ours", "together", [list(photos.figures([top_mean(one) for one in maps], maps))])]


def peers(photos: Photos, tokens: Tokens, counts: Sequence[int], draws: int, ways: Sequence[str]) -> list[str]:
    """Ours and others', with the time and the memory of what is kept."""
    paths = tokens.all(photos.paths)
    lines = []
    for count in counts:
        drawn = [random.Random(draw).sample(photos.pool[:POOL], min(count, POOL)) for draw in range(draws)]
        for way, score in _ways(tokens).items():
            if way not in ways:
                continue
            values, seconds, megabytes = [], 0.0, 0.0
            for references in drawn:
                kept = tokens.all(references)
                began = time.perf_counter()
                scores, maps = score(paths, kept)
                seconds += time.perf_counter() - began
                values.append(list(photos.figures(scores, maps)))
                megabytes = MEGABYTES[way](kept)
            lines.append(_row(photos.name, way, str(count), values, seconds / draws / len(paths), megabytes))
    for way, score in {"ours": _together, "MuSc": lambda these: musc(these, tokens.grid)}.items():
        if way not in ways or "MuSc" not in ways:
            continue
        began = time.perf_counter()
        values = [list(photos.figures(*score(paths)))]
        seconds = (time.perf_counter() - began) / len(paths)
        lines.append(_row(photos.name, way, "together", values, seconds, _bytes(paths)))
    return lines


def _together(photos: Sequence[Levels]) -> Scored:
    maps: list[NDArray[np.floating]] = [values.numpy() for values in mutual_distances(photos)]
    return [top_mean(one) for one in maps], maps


def _ways(tokens: Tokens) -> dict[str, Callable[[Sequence[Levels], Sequence[Levels]], Scored]]:
    return {
        "ours": lambda photos, references: _ours(photos, references, tokens),
        "AnomalyDINO": anomaly_dino,
        "PatchCore": lambda photos, references: patch_core(photos, references, tokens.grid),
    }


def _ours(photos: Sequence[Levels], references: Sequence[Levels], tokens: Tokens) -> Scored:
    """As `Bank` does, its calibration included."""
    from detector.context.bank import Bank
    from detector.context.info import BankInfo, Reference
    from detector.context.leave_one_out import leave_one_out

    if len(references) == 1:  # no spread, and a scale that changes no order
        maps = [_plain(photo, references) for photo in photos]
        return [top_mean(one) for one in maps], maps
    halves = [tuple(level.half() for level in each) for each in references]
    named = tuple(Reference(name=str(index), content=str(index)) for index in range(len(halves)))
    info = BankInfo(model="", size=tokens.reader.size, references=named)
    bank = Bank(info, halves, *leave_one_out(halves, halves))
    maps = [bank.distances(photo)[0] for photo in photos]
    return [bank.score(one) for one in maps], maps


def _plain(photo: Levels, references: Sequence[Levels]) -> NDArray[np.floating]:
    from detector.context.distances import reference_distances

    values: NDArray[np.floating] = reference_distances(photo, references).numpy()
    return values


def _bytes(photos: Sequence[Levels]) -> float:
    """Megabytes of tokens in half precision."""
    return sum(level.numel() for each in photos for level in each) * 2 / 1e6


MEGABYTES: dict[str, Callable[[Sequence[Levels]], float]] = {
    "ours": _bytes,
    "AnomalyDINO": lambda kept: 2 * _bytes([each[-1:] for each in kept]),  # kept in single precision
    "PatchCore": lambda kept: 2 * _bytes(kept) / 10,
}
"""Of what each way keeps of its references."""


def thresholds(photos: Photos, tokens: Tokens, counts: Sequence[int], draws: int) -> list[str]:  # noqa: ARG001
    """Promised and observed."""
    good = [path for path, bad in zip(photos.paths, photos.labels, strict=True) if not bad]
    good = (photos.pool[: GOOD - len(good)] + good)[:GOOD]
    defective = [path for path, bad in zip(photos.paths, photos.labels, strict=True) if bad][::2]
    among, beside = pairs(tokens, good, good), pairs(tokens, defective, good)
    rates = context_thresholds.measure(among, beside, tokens.grid, draws=4 * draws)
    return context_thresholds.rows(photos.name, rates)


def tries(photos: Photos, tokens: Tokens, counts: Sequence[int], draws: int) -> list[str]:
    """Every way to compare with every way to score."""
    pool = photos.pool[:POOL]
    each, among = pairs(tokens, photos.paths, pool), pairs(tokens, pool, pool)
    return [
        line
        for count in counts
        if count > 1
        for line in context_tries.measure(photos, tokens, each, among, pool, count, draws)
    ]


WHAT: dict[str, Callable[[Photos, Tokens, Sequence[int], int], list[str]]] = {
    "figures": figures,
    "tries": tries,
    "thresholds": thresholds,
}


def _row(name: str, way: str, count: str, values: list[list[float]], *more: float) -> str:
    image, pixel, precision, pro = np.nanmean(values, axis=0)
    spread = np.std([each[0] for each in values])
    cells = (f"{number:.2f}" for number in more)
    numbers = (f"{number:.3f}" for number in (image, spread, pixel, precision, pro))
    return "| " + " | ".join([name, way, count, *numbers, *cells]) + " |"


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
