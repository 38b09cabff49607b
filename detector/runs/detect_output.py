"""What a run of `detector detect` shows and leaves: table, JSON, CSV and report."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from descriptions.common.files import atomic_write
from descriptions.common.terminal import typed
from descriptions.format.schema import DescriptionFile
from detector import console
from detector.detect.detection import Row, nearness
from detector.detect.results import Results, about_threshold, to_csv, to_document
from detector.report.detections import write_detections
from detector.runs.detect_request import DetectRequest
from detector.runs.record import versions
from detector.runs.threshold import GUESS
from detector.scoring.threshold import GUESS_IMAGES, Threshold
from detector.weights.registry import DEFAULT

MAX_NAME = 30
"""Columns that a file's name has at least, if it needs them, on a narrow screen."""


def about(description: DescriptionFile, results: Results) -> dict[str, Any]:
    """What stands in the JSON document beside the images."""
    scale = results.scale
    return {
        "descriptions": description.ref,
        "content_hash": description.content_hash,
        **about_threshold(results.threshold),
        "map_scale": {"low": scale.low, "high": scale.high, "level": scale.level, "level_from": scale.basis},
    }


def write_results(request: DetectRequest, description: DescriptionFile, results: Results) -> None:
    """Tables and the page; pictures and the journal are there already.

    Raises:
        OSError: the folder cannot be written to.
    """
    out = request.out
    if out is None:
        return
    document = to_document(results.rows, results.failed, **about(description, results))
    text = json.dumps(document, indent=2, ensure_ascii=False)
    atomic_write(out / "results.json", console.encodable(text) + "\n")
    atomic_write(out / "results.csv", to_csv(results.rows, results.threshold))
    write_detections(out / "report.html", results.rows, results.failed, facts(request, description, results))


def facts(request: DetectRequest, description: DescriptionFile, results: Results) -> dict[str, Any]:
    """What a reader of the report must know to trust it, in the order it is shown."""
    threshold = results.threshold
    return {
        "title": f"Detections, {description.ref}",
        "threshold": threshold.value if threshold else None,
        "threshold_from": threshold.describe() if threshold else no_verdicts(request, len(results.rows)),
        "map_colours": results.scale.describe(),
        "model": str(request.checkpoint or f"preset {request.preset or DEFAULT}"),
        "descriptions": f"{description.ref}, content {description.content_hash[:12]}",
        "date": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        "command": shlex.join(typed()),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }


def print_results(request: DetectRequest, description: DescriptionFile, results: Results) -> None:
    """Results on stdout in the form asked for; all else on stderr."""
    if request.form == "json":
        console.print_json(to_document(results.rows, results.failed, **about(description, results)))
    elif request.form == "csv":
        sys.stdout.write(to_csv(results.rows, results.threshold))
    elif results.rows:
        _print_table(results.rows, results.threshold)
    stderr = console.stderr()
    if results.threshold is not None:
        stderr.print(f"threshold {results.threshold.describe()}", soft_wrap=True)
    elif results.rows and (request.form == "table" or request.threshold):
        stderr.print(no_verdicts(request, len(results.rows)), soft_wrap=True)
    for each in results.failed:
        stderr.print(f"[red]failed:[/] {console.safe(each.error)}", soft_wrap=True)
    if request.out is not None:
        stderr.print(f"report: {console.safe(request.out / 'report.html')}", soft_wrap=True)
        if results.stopped:
            stderr.print("stopped; the same command with --resume goes on from here", soft_wrap=True)


def no_verdicts(request: DetectRequest, images: int) -> str:
    """Why no image has a verdict, and what would give it one."""
    if request.threshold != GUESS:
        return "no verdicts: type --threshold NUMBER or --threshold from-eval:RUN (or auto, which guesses)"
    if images < GUESS_IMAGES:
        return f"no verdicts: --threshold auto needs {GUESS_IMAGES} images to guess from, not {images}"
    return f"no verdicts: no gap parts the scores of these {images} images, so --threshold auto cannot guess"


def _shared_folder(folders: Sequence[Path]) -> str:
    """As typed, as far as relative and absolute ones are not mixed."""
    mixed = len({folder.is_absolute() for folder in folders}) > 1
    return os.path.commonpath([folder.absolute() if mixed else folder for folder in folders])


def _print_table(rows: Sequence[Row], threshold: Threshold | None) -> None:
    verdict = "verdict (guessed)" if threshold and threshold.guessed else "verdict"
    compared = any("deviations" in entry for row in rows for entry in row["descriptions"])
    nearest = "nearest description (deviations from good)" if compared else "nearest description (similarity)"
    table = console.table("", "image", ">score", verdict, "region", nearest)
    shared = _shared_folder([Path(row["path"]).parent for row in rows])
    names = [os.path.relpath(row["path"], shared) for row in rows]
    table.columns[0].overflow = "fold"
    table.columns[0].min_width = min(max(map(len, names), default=0), MAX_NAME)
    for name, row in zip(names, rows, strict=True):
        top = row["descriptions"][0] if row["descriptions"] else None
        table.add_row(
            console.safe(name),
            f"{row['score']:.3f}",
            row["verdict"] or "-",
            row["region"] or "-",
            console.safe(f"{top['text']} ({nearness(top)})") if top else "-",
        )
    if shared:
        table.title = console.safe(shared)
    console.stdout().print(table)
