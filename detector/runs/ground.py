"""What `detector ground` and `detector describe` do: read the photo and the references, answer, and show the answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from descriptions.common.errors import ForgeError
from descriptions.common.files import staged
from descriptions.common.refs import slug
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector import console
from detector.context.bank import Bank
from detector.context.storage import SUFFIX, load_bank
from detector.detect.detector import Detector
from detector.detect.overlay import picture
from detector.errors import DetectorError, cannot_write
from detector.ground.describe import describe
from detector.ground.grounder import Grounder, Grounding
from detector.images.find import find_images
from detector.runs.components import ScoringRequest, load_chosen_model, predictor_options
from detector.runs.detect_request import parse_rate
from detector.scoring.predict import ScoringSettings
from detector.scoring.vocabulary import unread_note, unread_words


class GroundRequest(ScoringRequest):
    """The command line of `ground` or `describe` as one value."""

    paths: tuple[str, ...]
    """Photos; `ground` takes one."""
    category: str | None = None
    """Reference to a description version; its object name and parts are used, and by `describe` its texts."""
    settings: ScoringSettings = ScoringSettings()
    """How to score."""
    references: tuple[str, ...] = ()
    """Good photos, or one file of them."""
    false_alarms: str = "5%"
    """Share of good photos that may be called present, or unusual."""
    phrases: tuple[str, ...] = ()
    """What to look for."""
    object_name: str | None = None
    """Words that the model reads for the product, without a category."""
    out: Path | None = None
    """Folder for pictures."""
    form: Literal["table", "json"] = "table"
    """What goes to stdout."""


def run_ground(request: GroundRequest) -> int:
    """Look for phrases on one photo; returns the exit code.

    Raises:
        ForgeError: what was asked for is not there, or does not go together.
    """
    if request.category and request.object_name:
        raise DetectorError("both --category and --object", expected="one of them: a version names its product")
    detector, store = _detector(request)
    version = store.load(request.category) if request.category else None
    name = version.object_name if version else request.object_name or "product"
    parts = version.parts if version else ()
    grounder = Grounder(detector, false_alarms=parse_rate(request.false_alarms))
    for text, words in unread_words(detector.model, [*request.phrases, name]).items():
        console.warn(f"the model does not know {', '.join(words)} in {text!r} and reads blanks for them")
    answers = grounder.ground(request.paths[0], request.phrases, object_name=name, parts=parts)
    pictures = _draw(request.out, detector, request.paths[0], answers) if request.out else [None] * len(answers)
    if request.form == "json":
        listed = [each.to_dict() | {"picture": drawn} for each, drawn in zip(answers, pictures, strict=True)]
        console.print_json({"path": request.paths[0], "object_name": name, "phrases": listed})
        return 0
    table = console.table("", "!phrase", "there", ">score", "where", "box (x0 y0 x1 y1)")
    for each in answers:
        box = " ".join(f"{value:.2f}" for value in each.boxes[0][:4]) if each.boxes else ""
        score = "" if each.score is None else f"{each.score:.2f}"
        table.add_row(console.safe(each.phrase), _answer(each.present), score, console.safe(each.position), box)
    console.stdout().print(table)
    for note in dict.fromkeys(note for each in answers for note in each.notes):
        console.warn(note)
    return 0


def run_describe(request: GroundRequest) -> int:
    """Describe photos in sentences; returns the exit code, 1 where a photo could not be used.

    Raises:
        ForgeError: what was asked for is not there, or does not go together.
    """
    detector, store = _detector(request)
    version = store.load(request.category or "")
    listing = find_images(request.paths)
    if note := unread_note(detector.model, version):
        console.warn(note)
    images, failed = _accounts(request, detector, version, listing.photos)
    if request.form == "json":
        console.print_json({"description": version.ref, "images": images, "failed": failed})
    for row in images if request.form == "table" else ():
        prefix = f"{row['path']}: " if len(listing.photos) > 1 else ""
        console.stdout().print(console.safe(prefix + row["text"]), soft_wrap=True)
        for note in row["notes"]:
            console.warn(f"{row['path']}: {note}")
    for row in failed:
        console.warn(f"{row['path']}: {row['error']}")
    return 1 if failed else 0


def _accounts(
    request: GroundRequest, detector: Detector, version: DescriptionFile, photos: Sequence[Path]
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    images, failed, rate = [], [], parse_rate(request.false_alarms)
    for path in photos:
        try:
            images.append({"path": str(path)} | describe(detector, path, version, false_alarms=rate).to_dict())
        except ForgeError as error:
            failed.append({"path": str(path), "error": str(error)})
    return images, failed


def _detector(request: GroundRequest) -> tuple[Detector, Store]:
    store = Store.open(request.descriptions_dir)
    model = load_chosen_model(request)
    detector = Detector(model, store=store, **predictor_options(request, request.settings, model))
    return detector.with_references(_bank(request, detector)), store


def _bank(request: GroundRequest, detector: Detector) -> Bank | None:
    if not request.references:
        return None
    kept = [Path(name) for name in request.references if name.endswith(SUFFIX)]
    if kept and len(request.references) > 1:
        hint = "type detector references add to put photos into the file"
        raise DetectorError(f"{kept[0]} with other --references", expected="one file, or photos", hint=hint)
    if kept:
        return load_bank(kept[0])
    bank = Bank.from_images(detector, find_images(request.references).photos, load=detector.predictor.load)
    for note in bank.notes:
        console.warn(note)
    return bank


def _answer(present: bool | None) -> str:
    return "not told" if present is None else "yes" if present else "no"


def _draw(out: Path, detector: Detector, path: str, answers: Sequence[Grounding]) -> list[str | None]:
    """One picture per phrase; their paths."""
    photo = detector.predictor.load(path)
    drawn: list[str | None] = []
    for number, each in enumerate(answers, 1):
        file = out / f"{number}-{slug(each.phrase) or 'phrase'}.png"
        title = f"{each.phrase}: {_answer(each.present)}"
        shown = picture(
            photo, each.map, title=title, subtitle=each.position, boxes=each.boxes, limits=(0.0, 1.0),
            level=float((each.map.max() + np.median(each.map)) / 2), basis="", marked=each.present is not False,
        )  # fmt: skip
        try:
            out.mkdir(parents=True, exist_ok=True)
            with staged(file) as part:
                shown.save(part, "PNG")
        except OSError as error:
            raise cannot_write(file, error) from error
        drawn.append(str(file))
    return drawn
