"""What is found in one photo: values, a plain row, and a picture."""

import base64
import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
from jaxtyping import Float
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from descriptions.common.files import staged
from descriptions.common.terminal import printable
from detector.console import encodable
from detector.detect.overlay import picture
from detector.errors import DetectorError, cannot_write
from detector.localize.boxes import Box
from detector.localize.regions import Region
from detector.scoring.map_scale import MapScale, MapSummary, run_scale, summarise
from detector.scoring.predict import Match
from detector.scoring.threshold import Threshold, Verdict

_NEAREST = 3
"""Matches that a notebook shows."""


class Row(TypedDict):
    """One image of the JSON document."""

    path: str
    score: float
    verdict: Verdict | None
    region: str | None
    boxes: list[dict[str, Any]]
    descriptions: list[dict[str, Any]]
    heatmap: str | None
    """Picture of the map, within `--out`."""
    map: NotRequired[str]
    """Raw map, within `--out`, where one was asked for."""
    note: NotRequired[str]
    """What to know of the score, such as a picture that shows nothing."""


class Failure(NamedTuple):
    """An image that could not be used, and why, in one line."""

    path: str
    error: str


class Detection(NamedTuple):
    """What was found in one image."""

    path: str
    """As given; empty for images that came as values."""
    image: Image.Image
    """As scored: upright RGB, at most `max_size`."""
    score: float
    """Higher is more abnormal."""
    map: Float[np.ndarray, "height width"]
    """Anomaly map in [0, 1] over the whole image; stretch it to the image's size."""
    region: Region | None
    """Area of the image that the text names; None where it names none."""
    boxes: tuple[Box, ...]
    """Where to look, in unit coordinates."""
    matches: tuple[Match, ...]
    """All enabled descriptions, nearest first; beside good photos, the one that names the region best first."""
    threshold: Threshold | None = None
    """Of the detector; see `Detector.with_threshold`."""
    phrases: Float[np.ndarray, "patches descriptions"] | None = None
    """Cosine of every patch with every description of the version, in its order, where it was asked for."""
    notes: tuple[str, ...] = ()
    """What to know of the score, such as a picture that shows nothing."""

    def with_notes(self, *lines: str) -> "Detection":
        """A copy with more notes."""
        return self._replace(notes=self.notes + lines)

    @property
    def verdict(self) -> Verdict | None:
        """`good` or `anomalous`; None without a threshold."""
        return self.threshold.verdict(self.score) if self.threshold else None

    @property
    def is_anomalous(self) -> bool | None:
        """Whether the score reaches the threshold; None without one."""
        return None if self.threshold is None else self.verdict == "anomalous"

    def plot(self, among: Iterable["Detection"] = ()) -> Image.Image:
        """The picture that `detector detect --out` draws: the image with lines and boxes beside its anomaly map.

        Args:
            among: all detections of a run, which then share one scale of colours and one level for lines and boxes;
                without them, this one is a run by itself.
        """
        others = [each for each in among if each is not self]
        own = summarise(self.map, self.boxes)
        scale = run_scale(
            [own, *(summarise(each.map, each.boxes) for each in others)],
            [self.verdict, *(each.verdict for each in others)],
        )
        (row,) = with_boxes_that_count([self.to_dict()], [own], scale)
        return draw_row(row, self.image, self.map, scale, self.threshold)

    def save(self, path: str | Path, among: Iterable["Detection"] = ()) -> Path:
        """Write the picture of `plot`, whole or not at all; the ending of the name says the format.

        Args:
            path: such as `found.png`.
            among: as of `plot`.

        Returns:
            The path.

        Raises:
            DetectorError: an ending that is no format of pictures.
            OutputError: the file cannot be written.
        """
        path = Path(path)
        form = Image.registered_extensions().get(path.suffix.lower())
        if form not in Image.SAVE:
            raise DetectorError(
                f"{path}: no format of pictures has the ending {path.suffix!r}", expected=".png or .jpg"
            )
        try:
            with staged(path) as part:
                self.plot(among).save(part, form)
        except OSError as error:
            raise cannot_write(path, error, "another file") from error
        return path

    def to_dict(self) -> Row:
        """Plain values, as one image of the JSON document of `detector detect`, with all boxes."""
        names = ("x0", "y0", "x1", "y1", "phrase", "score")
        row = Row(
            path=self.path,
            score=round(self.score, 6),
            verdict=self.verdict,
            region=self.region,
            boxes=[
                {
                    name: round(value, 5) if isinstance(value, float) else value
                    for name, value in zip(names, box, strict=True)
                }
                for box in self.boxes
            ],
            descriptions=[_described(each) for each in self.matches],
            heatmap=None,
        )
        return Row(**row, note="; ".join(self.notes)) if self.notes else row

    def __repr__(self) -> str:
        """One line; a map and a picture say nothing as numbers."""
        nearest = f", nearest {self.matches[0].text!r}" if self.matches else ""
        verdict = f", {self.verdict}" if self.verdict else ""
        return f"Detection({self.path!r}, score {self.score:.4f}{verdict}{nearest})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        stream = io.BytesIO()
        self.plot().save(stream, "PNG")
        html: str = _template().render(
            title=title(self.to_dict(), self.threshold),
            path=printable(encodable(self.path)),
            matches=[each._replace(text=printable(each.text)) for each in self.matches[:_NEAREST]],
            picture=base64.b64encode(stream.getvalue()).decode(),
        )
        return html


def _described(match: Match) -> dict[str, Any]:
    """A description of a row; `deviations` only where there were good patches to compare with."""
    plain: dict[str, Any] = {"id": match.id, "text": match.text, "similarity": round(match.similarity, 5)}
    return plain if match.deviations is None else plain | {"deviations": round(match.deviations, 2)}


def nearness(entry: dict[str, Any]) -> str:
    """How near a description of a row is, for people: its cosine, or in deviations from good where those decided."""
    return f"{entry['deviations']:+.1f} dev." if "deviations" in entry else f"{entry['similarity']:.3f}"


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("detector.detect"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("detection.html")


def with_boxes_that_count(rows: Sequence[Row], maps: Sequence[MapSummary], scale: MapScale) -> list[Row]:
    """Judged rows with those boxes only that exceed what good images of the run reach.

    Args:
        rows: judged.
        maps: one per row.
        scale: of the run.
    """
    return [
        Row(**{**row, "boxes": [box for box, peak in zip(row["boxes"], each.boxes, strict=True)
                                if scale.shows(row["verdict"], peak)]})
        for row, each in zip(rows, maps, strict=True)
    ]  # fmt: skip


def draw_row(
    row: Row,
    image: Image.Image,
    anomaly_map: Float[np.ndarray, "height width"],
    scale: MapScale,
    threshold: Threshold | None,
) -> Image.Image:
    """The picture of one image.

    Args:
        row: judged, with the boxes that are shown.
        image: as it was scored.
        anomaly_map: at any size.
        scale: of the run.
        threshold: behind the verdict.
    """
    top = row["descriptions"][0] if row["descriptions"] else None
    return picture(
        image,
        anomaly_map,
        title=title(row, threshold),
        subtitle=f"nearest description: {top['text']} ({nearness(top)})" if top else "generic words only",
        boxes=tuple(Box(**box) for box in row["boxes"]),
        limits=(scale.low, scale.high),
        level=scale.level,
        basis=scale.basis,
        marked=row["verdict"] != "good",
    )


def title(row: Row, threshold: Threshold | None) -> str:
    """Score, verdict and region in one line."""
    verdict: str = row["verdict"] or ""
    if verdict and threshold and threshold.guessed:
        verdict += " (by a guessed threshold)"
    return " · ".join(part for part in (f"score {row['score']:.3f}", verdict, row["region"]) if part)
