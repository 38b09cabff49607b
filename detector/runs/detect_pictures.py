"""The pictures of a run, all drawn on one scale when its images are scored."""

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

from PIL import Image

from descriptions.common.errors import ForgeError
from descriptions.common.files import atomic_write
from detector import console
from detector.detect.detection import Row, draw_row
from detector.report.map_files import MapFiles
from detector.scoring.map_scale import MapScale
from detector.scoring.threshold import Threshold


class Drawn(NamedTuple):
    """Rows that name their pictures."""

    rows: list[Row]
    stopped: bool
    """Whether Ctrl-C ended the drawing; rows without a picture name none."""


def draw(
    rows: Sequence[Row],
    files: MapFiles,
    scale: MapScale,
    threshold: Threshold | None,
    load: Callable[[str], Image.Image],
) -> Drawn:
    """Draw the picture of every row.

    Args:
        rows: judged, with the boxes that are shown.
        files: where maps are and pictures go.
        scale: of the run.
        threshold: behind the verdicts.
        load: reads an image as it was scored.

    Raises:
        OSError: the folder cannot be written to.
    """
    drawn: list[Row] = []
    with console.progress("drawing", len(rows)) as advance:
        try:
            for row in rows:
                drawn.append(_with_picture(row, files, scale, threshold, load))
                advance()
        except KeyboardInterrupt:
            return Drawn([*drawn, *rows[len(drawn) :]], stopped=True)
    return Drawn(drawn, stopped=False)


def _with_picture(
    row: Row, files: MapFiles, scale: MapScale, threshold: Threshold | None, load: Callable[[str], Image.Image]
) -> Row:
    try:
        image, anomaly_map = load(row["path"]), files.load(row["path"])
    except (ForgeError, OSError) as error:
        console.warn(f"{row['path']} has no picture: {error}")
        return row
    name = files.picture_name(row["path"])
    sheet = draw_row(row, image, anomaly_map, scale, threshold)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=1)  # five times faster than the default, a sixth larger
    atomic_write(files.out / name, buffer.getvalue())
    return Row(**{**row, "heatmap": name})
