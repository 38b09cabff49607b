"""What `detector detect` does: one run over many images, kept image by image, drawn and shown at the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from descriptions.common.terminal import INTERRUPTED
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector import console
from detector.context.storage import SUFFIX, load_bank
from detector.detect.detection import Detection, Failure, Row, with_boxes_that_count
from detector.detect.detector import Detector
from detector.detect.references import FOREIGN_NOTE, OWN_NOTE, ReferenceScorer
from detector.detect.results import Results, judged
from detector.detect.together import TogetherScorer
from detector.errors import DetectorError, cannot_write
from detector.images.find import find_images
from detector.images.load import bits_note
from detector.report.map_files import MAPS, MapFiles
from detector.runs.detect_output import about, print_results, write_results
from detector.runs.detect_pictures import draw
from detector.runs.detect_request import DetectRequest, create_detector, identity, parse_rate
from detector.runs.journal import Journal
from detector.runs.record import Outcome, read_run, recorded
from detector.runs.threshold import GUESS, other_origin, read_threshold
from detector.scoring.map_scale import MapSummary, run_scale, summarise
from detector.scoring.threshold import Threshold
from detector.scoring.vocabulary import unread_note

DEFECT_FOUND = 3
"""Exit code of `--fail-on anomalous` where an image is called anomalous."""


class Job(NamedTuple):
    """A request with everything it names looked up."""

    request: DetectRequest
    files: list[str]
    """Images, in the order they are shown."""
    description: DescriptionFile
    """Loaded once: what is scored is what the record names."""
    threshold: Threshold | None
    """As far as it is known before an image is scored."""
    detector: Detector
    references: ReferenceScorer | None
    """Where good photos are given."""
    together: TogetherScorer | None
    """Where the photos are scored among each other."""
    map_files: MapFiles | None
    """Where `--out` is given."""


class Collected(NamedTuple):
    """What scoring the images came to."""

    rows: list[Row]
    """Without verdicts, in the order of the files."""
    maps: list[MapSummary]
    """One per row."""
    failed: list[Failure]
    stopped: bool
    """Whether Ctrl-C ended it."""


def run_detect(request: DetectRequest) -> int:
    """Run and print; returns the exit code.

    Raises:
        ForgeError: before anything is scored, when the request cannot work.
    """
    job = _prepare(request)
    with _recorded(job) as (journal, outcome):
        collected = _collect(job, journal)
        results = _judge(job, collected)
        if job.map_files is not None:
            results = _write(job, job.map_files, results)
        outcome.status = "interrupted" if results.stopped else "partial" if results.failed else "done"
        outcome.results |= about(job.description, results)
        outcome.results |= {"images": len(results.rows), "failed": len(results.failed)}
    print_results(job.request, job.description, results)
    return _exit_code(request, results)


def _prepare(request: DetectRequest) -> Job:
    """Look everything up and say what a reader of the results must know."""
    listing = find_images(request.paths, skip=request.out / MAPS if request.out else None)
    store = Store.open(request.descriptions_dir)
    description = store.load(request.category)
    threshold = read_threshold(request.threshold, request.category)  # before the run's own record is written
    notes = [listing.left_out(), *(bits_note(listing.photos) if request.bits is None else ())]
    if (
        threshold is not None
        and threshold.value > 1
        and (not request.in_context or request.score_beside_others == "filo")
    ):
        notes.append(f"threshold {threshold.value:g} calls everything good: scores lie below 1")
    if threshold is not None and request.deviates:
        option = "--references" if request.references else "--together"
        notes.append(f"--threshold with {option}: scores are deviations from good, not those of eval")
    notes.append(other_origin(request.threshold, description, request.model_dump(mode="json")))
    detector = create_detector(request, store)
    notes.append(unread_note(detector.model, description))
    files = [str(path) for path in listing.photos]
    references = _references(request, detector, description)
    notes += references.bank.notes if references is not None else ()
    together = None
    if request.together:
        together = TogetherScorer(detector, description, files, references, request.score_beside_others)
    notes += together.notes if together is not None else ()
    if references is not None and request.false_alarms is not None:
        threshold = (together or references).threshold(parse_rate(request.false_alarms))
    for line in filter(None, notes):
        console.warn(line)
    map_files = MapFiles(request.out, request.maps) if request.out else None
    return Job(request, files, description, threshold, detector, references, together, map_files)


def _references(request: DetectRequest, detector: Detector, description: DescriptionFile) -> ReferenceScorer | None:
    """Good photos, read and calibrated; a rate that makes no sense is refused before."""
    if request.false_alarms is not None:
        parse_rate(request.false_alarms)
    if not request.references:
        return None
    banks = [Path(name) for name in request.references if name.endswith(SUFFIX)]
    if banks and len(request.references) > 1:
        raise DetectorError(
            f"{banks[0]} with other --references", expected="one file of references, or photos",
            hint="type detector references add to put photos into the file",
        )  # fmt: skip
    if banks and request.rotations > 1:
        raise DetectorError(
            f"--rotations {request.rotations} with {banks[0]}", expected="photos: kept references are turned already",
            hint=f"type detector references build --rotations {request.rotations}",
        )  # fmt: skip
    photos = load_bank(banks[0]) if banks else [str(path) for path in find_images(request.references).photos]
    return ReferenceScorer(
        detector.predictor, detector.prompts(description), photos, description.category, request.rotations,
        request.score_beside_others,
    )  # fmt: skip


@contextmanager
def _recorded(job: Job) -> Iterator[tuple[Journal | None, Outcome]]:
    """The journal and the record of a run with `--out`; neither without it."""
    request, out = job.request, job.request.out
    if out is None or job.map_files is None:
        yield None, Outcome()
        return
    key = identity(request, job.detector) | {"content_hash": job.description.content_hash}
    if job.references is not None:
        info = job.references.bank.info
        key["references"] = [each.content for each in info.references]
        key |= {"rotations": info.rotations} if info.rotations > 1 else {}
    if job.together is not None:
        key["together"] = sorted(job.together.seen)  # every photo of the run has a part in every score
    key |= {"image_score": "filo"} if request.score_beside_others == "filo" else {}
    journal = Journal(out, key, job.files, resume=request.resume, whole=job.map_files.has)
    if journal.unused and (read_run(out) or {}).get("status") in ("running", "interrupted", "failed"):
        console.warn(f"{out} holds {journal.unused} of these images from a stopped run; --resume skips them")
    settings = request.model_dump(mode="json") | key
    settings |= {"descriptions": job.description.ref, "device": str(job.detector.device)}
    try:
        with recorded(out, settings, command="detect") as outcome:
            journal.start()
            yield journal, outcome
    except OSError as error:
        raise cannot_write(out, error) from error


def _collect(job: Job, journal: Journal | None) -> Collected:
    """Score what the journal does not hold yet; Ctrl-C keeps what is done."""
    done = {path: (line["row"], line["map"]) for path, line in journal.lines.items()} if journal else {}
    failed: list[Failure] = []
    stopped, said = False, _Doubts(() if job.together is None else (job.together.few,))
    missing = [path for path in job.files if path not in done]
    with console.progress(job.request.category, len(missing)) as advance:
        try:
            for detection in _scored(job, missing):
                if isinstance(detection, Failure):
                    failed.append(detection)
                else:
                    said.add(detection)
                    row, summary = detection.to_dict(), summarise(detection.map, detection.boxes)
                    if journal is not None and job.map_files is not None:
                        job.map_files.keep(detection.path, detection.map)
                        journal.add(row, summary)
                    done[detection.path] = row, summary
                advance()
        except KeyboardInterrupt:
            stopped = True
    said.rest(len(missing))
    pairs = [done[path] for path in job.files if path in done]
    return Collected([row for row, _ in pairs], [summary for _, summary in pairs], failed, stopped)


class _Doubts:
    """Says what to know of scores: of a photo at once, of many photos alike in one line at the end.

    Args:
        known: notes that have been said of the whole run.
    """

    def __init__(self, known: Sequence[str]) -> None:
        self.known = known
        self.foreign: list[str] = []
        self.own: list[str] = []

    def add(self, detection: Detection) -> None:
        for note in detection.notes:
            if note == FOREIGN_NOTE:
                self.foreign.append(detection.path)
            elif note == OWN_NOTE:
                self.own.append(detection.path)
            elif note not in self.known:
                console.warn(f"{detection.path}: {note}")

    def rest(self, photos: int) -> None:
        if self.own:
            console.warn(
                f"{len(self.own)} of {photos} photos are references themselves ({self.own[0]}): each is compared with "
                "the other references only"
            )
        if self.foreign:
            console.warn(
                f"{len(self.foreign)} of {photos} photos lie far from all references even where nothing is wrong "
                f"({self.foreign[0]}): another product, camera or light; their scores mean little"
            )


def _scored(job: Job, files: Sequence[str]) -> Iterator[Detection | Failure]:
    """Photos by words, beside references, or among each other."""
    if job.together is not None:
        yield from job.together.stream(set(files))
        return
    for result in job.detector.stream(files, job.description, detail=job.references is not None):
        if isinstance(result, Failure) or job.references is None:
            yield result
        else:
            yield job.references.rescored(result)


def _judge(job: Job, collected: Collected) -> Results:
    """Verdicts, and the boxes that they and the maps of the run leave."""
    threshold = job.threshold
    if job.request.threshold == GUESS:
        threshold = Threshold.guess([row["score"] for row in collected.rows])
    rows = judged(collected.rows, threshold)
    scale = run_scale(collected.maps, [row["verdict"] for row in rows])
    rows = with_boxes_that_count(rows, collected.maps, scale)
    return Results(rows, collected.failed, threshold, scale, collected.stopped)


def _write(job: Job, map_files: MapFiles, results: Results) -> Results:
    """Pictures, tables and the page; returns the results with the names of the pictures."""
    drawn = draw(results.rows, map_files, results.scale, results.threshold, job.detector.predictor.load)
    rows = [_naming_map(row, map_files) for row in drawn.rows]
    results = results._replace(rows=rows, stopped=results.stopped or drawn.stopped)
    write_results(job.request, job.description, results)
    return results


def _naming_map(row: Row, map_files: MapFiles) -> Row:
    name = map_files.map_name(row["path"])
    return row if name is None else Row(**{**row, "map": name})


def _exit_code(request: DetectRequest, results: Results) -> int:
    """Interrupted before found before failed: who waits for a defect must not miss it for a damaged file."""
    if results.stopped:
        return INTERRUPTED
    verdicts: Sequence[Any] = [row["verdict"] for row in results.rows]
    if request.fail_on and request.fail_on in verdicts:
        return DEFECT_FOUND
    unjudged = request.fail_on and results.threshold is None  # a gate that could not look must not pass
    return 1 if results.failed or unjudged else 0
