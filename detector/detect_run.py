"""What `detector detect` does: one run over many images, kept image by image, shown at the end."""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from descriptions.files import atomic_write
from descriptions.store import Store
from descriptions.terminal import INTERRUPTED
from detector import console
from detector.cache import fingerprint
from detector.detect import Detection, Detector, Failure
from detector.detections import Row, judged, other_origin, resolve_threshold, to_csv, to_document, to_row
from detector.device import resolve_device
from detector.errors import DetectorError, cannot_write
from detector.finding import find_images
from detector.images import MAX_PIXELS, ReadOptions, bits_note, unremarkable
from detector.journal import Journal
from detector.localize.build import build_localizer
from detector.presets import load_model
from detector.run import Outcome, read_run, recorded
from detector.scoring import ScoringSettings

MAX_NAME = 30
"""Columns that a file's name has at least, if it needs them, on a narrow screen."""
MAPS = "maps"
"""Folder of pictures within `--out`."""
MAX_STEM = 100
"""Bytes of an image's name that its picture takes over; file systems allow 143 to 255 in all."""


class DetectRequest(BaseModel):
    """The command line as one value."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    paths: tuple[str, ...]
    """Files, folders, globs, or `-`."""
    category: str
    """Reference to a description version."""
    descriptions_dir: Path | None = None
    """Library."""
    preset: str | None = None
    """Model by name."""
    checkpoint: Path | None = None
    """Model by file."""
    pretrained: str | None = None
    """CLIP weights where the model brings none."""
    settings: ScoringSettings = ScoringSettings()
    """How to score."""
    dino_weights: Path | None = None
    """Grounding DINO checkpoint."""
    dino_text: str = "bert-base-uncased"
    """Its vocabulary."""
    threshold: str = "auto"
    """See `resolve_threshold`."""
    out: Path | None = None
    """Folder for results."""
    form: Literal["table", "json", "csv"] = "table"
    """What goes to stdout."""
    tile: int | None = None
    """Window side in pixels."""
    bits: int | None = None
    """Of the values in 16-bit files."""
    max_pixels: int = MAX_PIXELS
    """Larger pictures are refused."""
    max_size: int = 4096
    """Long side images are shrunk to."""
    device: str = "auto"
    """Processor."""
    precision: str = "auto"
    """Number format."""
    batch_size: str = "auto"
    """Images a step."""
    workers: int = 2
    """ReadOptions threads."""
    resume: bool = False
    """Skip images done before."""


def run_detect(request: DetectRequest) -> int:
    """Run and print; returns the exit code.

    Raises:
        ForgeError: before anything is scored, when the request cannot work.
    """
    ours = request.out / MAPS if request.out else None
    listing = find_images(request.paths, skip=ours)
    files = [str(path) for path in listing.photos]
    for line in [listing.left_out(), *(bits_note(listing.photos) if request.bits is None else ())]:
        if line:
            console.warn(line)
    store = Store.open(request.descriptions_dir)
    description = store.load(request.category)
    fixed = resolve_threshold(request.threshold, (), request.category)  # before the run's own record is written
    if fixed is not None and fixed > 1:
        console.warn(f"threshold {fixed:g} calls everything good: scores lie below 1, where eval prints percent")
    if doubt := other_origin(request.threshold, description, request.model_dump(mode="json")):
        console.warn(doubt)
    detector = make_detector(request, store)
    about = {"descriptions": description.ref, "content_hash": description.content_hash}
    with _recorded(request, detector, about, files) as (journal, outcome):
        done = dict(journal.rows) if journal else {}
        rows = [done[path] for path in files if path in done]
        failed: list[Failure] = []
        stopped = _collect(detector, request, [path for path in files if path not in done], journal, rows, failed)
        scores = [row["score"] for row in rows]
        threshold = resolve_threshold(request.threshold, scores, request.category) if fixed is None else fixed
        place = {path: index for index, path in enumerate(files)}
        rows = judged(sorted(rows, key=lambda row: place[row["path"]]), threshold)
        if request.out is not None:
            _write(request.out, rows, failed, about | {"threshold": threshold})
        outcome.status = "interrupted" if stopped else "partial" if failed else "done"
        outcome.results |= {"threshold": threshold, "images": len(rows), "failed": len(failed)}
    _print(request, rows, failed, about | {"threshold": threshold})
    if stopped and request.out is not None:
        console.stderr().print("stopped; the same command with --resume goes on from here", soft_wrap=True)
    return INTERRUPTED if stopped else 1 if failed else 0


@contextmanager
def _recorded(
    request: DetectRequest, detector: Detector, about: dict[str, Any], files: Sequence[str]
) -> Iterator[tuple[Journal | None, Outcome]]:
    """The journal and the record of a run with `--out`; neither without it."""
    if request.out is None:
        yield None, Outcome()
        return
    key = identity(request, detector) | {"content_hash": about["content_hash"]}
    journal = Journal(request.out, key, files, resume=request.resume)
    if journal.unused and (read_run(request.out) or {}).get("status") in ("running", "interrupted", "failed"):
        console.warn(f"{request.out} holds {journal.unused} of these images from a stopped run; --resume skips them")
    settings = request.model_dump(mode="json") | about | key | {"device": str(detector.device)}
    try:
        with recorded(request.out, settings, command="detect") as outcome:
            journal.start()
            yield journal, outcome
    except OSError as error:
        raise cannot_write(request.out, error) from error


def identity(request: DetectRequest, detector: Detector) -> dict[str, Any]:
    """Everything but the descriptions that decides a row: options, weights by content, localizer."""
    return request.model_dump(mode="json", include={"settings", "tile", "max_size", "bits"}) | {
        "model": fingerprint(detector.model),
        "localizer": detector.localizer.fingerprint if detector.localizer else None,
    }


def _collect(
    detector: Detector,
    request: DetectRequest,
    files: Sequence[str],
    journal: Journal | None,
    rows: list[Row],
    failed: list[Failure],
) -> bool:
    """Score `files` into `rows` and `failed`; True when stopped by Ctrl-C, with what is done kept."""
    with console.progress(request.category, len(files)) as advance:
        try:
            for result in detector.stream(files, request.category):
                if isinstance(result, Failure):
                    failed.append(result)
                else:
                    if said := unremarkable(result.image):
                        console.warn(f"{result.path}: {said}; its score means nothing")
                    row = to_row(result, _draw(request.out, result) if request.out else None)
                    rows.append(row)
                    if journal is not None:
                        journal.add(row)
                advance()
        except KeyboardInterrupt:
            return True
    return False


def make_detector(request: DetectRequest, store: Store) -> Detector:
    """Model, localizer and options, as asked for.

    Raises:
        ForgeError: what was asked for is not there, or does not go together.
    """
    _require_sense(request)
    model = load_model(request.preset, request.checkpoint, request.pretrained)
    localizer = build_localizer(
        request.settings.localizer, model.config.variant, request.dino_weights, request.dino_text,
        device=str(resolve_device(request.device)),
    )  # fmt: skip
    options: dict[str, Any] = {
        "store": store,
        "settings": request.settings,
        "localizer": localizer,
        "reading": ReadOptions(request.bits, request.max_pixels),
        "batch_size": None if request.batch_size == "auto" else int(request.batch_size),
    }
    options |= request.model_dump(include={"device", "precision", "tile", "max_size", "workers"})
    return Detector(model, **options)


def _require_sense(request: DetectRequest) -> None:
    """Refuse options that would do nothing."""
    if request.batch_size != "auto" and not (request.batch_size.isdigit() and int(request.batch_size)):
        raise DetectorError(f"batch size {request.batch_size!r}", expected="auto or a number from 1")
    if request.resume and request.out is None:
        raise DetectorError("--resume without --out", expected="the folder of the stopped run", hint="type --out DIR")
    if request.dino_weights is not None and request.settings.localizer != "grounding-dino":
        raise DetectorError(
            f"--dino-weights with the localizer {request.settings.localizer}", hint="type --localizer grounding-dino"
        )


def _draw(out: Path, found: Detection) -> str:
    """Write the picture of one image; returns its name within `out`."""
    from io import BytesIO

    from detector.render import picture

    stem = os.fsencode(Path(found.path).stem)[:MAX_STEM].decode("utf-8", "ignore")
    name = f"{MAPS}/{stem}-{hashlib.sha256(os.fsencode(found.path)).hexdigest()[:8]}.png"
    low, high = float(found.heat.min()), float(found.heat.max())
    top = found.descriptions[0] if found.descriptions else None
    where = f"score {found.score:.3f}" + (f" · {found.region}" if found.region else "")
    subtitle = f"nearest description: {top.text} ({top.similarity:.2f})" if top else "generic words only"
    limits = (low, max(high, low + 0.25))
    sheet = picture(found.image, found.heat, title=where, subtitle=subtitle, boxes=found.boxes, limits=limits)
    buffer = BytesIO()
    sheet.save(buffer, "PNG", compress_level=1)  # five times faster than the default, a sixth larger
    atomic_write(out / name, buffer.getvalue())
    return name


def _write(out: Path, rows: Sequence[Row], failed: Sequence[Failure], about: dict[str, Any]) -> None:
    """Tables and the page; pictures and the journal are there already."""
    import json

    from detector.report_detect import write_html

    document = json.dumps(to_document(rows, failed, **about), indent=2, ensure_ascii=False)
    atomic_write(out / "results.json", console.encodable(document) + "\n")
    atomic_write(out / "results.csv", to_csv(rows))
    write_html(out / "report.html", rows, failed, {"title": f"Detections, {about['descriptions']}", **about})


def _print(request: DetectRequest, rows: Sequence[Row], failed: Sequence[Failure], about: dict[str, Any]) -> None:
    if request.form == "json":
        console.print_json(to_document(rows, failed, **about))
        return
    if request.form == "csv":
        sys.stdout.write(to_csv(rows))
    elif rows:
        _print_table(rows, about["threshold"], auto=request.threshold == "auto")
    for each in failed:
        console.stderr().print(f"[red]failed:[/] {console.safe(each.error)}", soft_wrap=True)
    if request.out is not None:
        console.stderr().print(f"report: {console.safe(request.out / 'report.html')}", soft_wrap=True)


def _shared_folder(folders: Sequence[Path]) -> str:
    """As typed, as far as relative and absolute ones are not mixed."""
    mixed = len({folder.is_absolute() for folder in folders}) > 1
    return os.path.commonpath([folder.absolute() if mixed else folder for folder in folders])


def _print_table(rows: Sequence[Row], threshold: float | None, *, auto: bool) -> None:
    shown = console.table("", "image", ">score", "verdict", "region", "nearest description (similarity)")
    shared = _shared_folder([Path(row["path"]).parent for row in rows])
    names = [os.path.relpath(row["path"], shared) for row in rows]
    shown.columns[0].overflow = "fold"
    shown.columns[0].min_width = min(max(map(len, names), default=0), MAX_NAME)
    for name, row in zip(names, rows, strict=True):
        top = row["descriptions"][0] if row["descriptions"] else None
        shown.add_row(
            console.safe(name),
            f"{row['score']:.3f}",
            row["verdict"] or "-",
            row["region"] or "-",
            console.safe(f"{top['text']} ({top['similarity']:.3f})") if top else "-",
        )
    if shared:
        shown.title = console.safe(shared)
    console.stdout().print(shown)
    if threshold is None:
        console.stderr().print(
            "no verdicts: --threshold auto needs eight images that differ; give a number or from-eval:RUN"
        )
    else:
        guessed = f", guessed from these {len(rows)} images: most of them must be good" if auto else ""
        console.stderr().print(f"threshold {threshold:.4f}{guessed}", soft_wrap=True)
