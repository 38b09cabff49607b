"""Pictures for people: the image, its anomaly map, contour, boxes, score, and the description that fired most."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from detector.localize.boxes import Box

PANEL = 448
"""Long side of each panel in pixels."""
MARGIN, STRIP, CAPTION = 8, 52, 20
"""Between the parts, and above and below the panels, in pixels."""
BAR, SCALE, NARROWEST = 14, 64, 360
"""Width of the colour scale without and with its numbers, and of the whole."""
INK, PAPER, LINE, BOX = (32, 33, 36), (255, 255, 255), (255, 255, 255), (0, 229, 255)

_STOPS = np.array(
    [(13, 8, 84), (84, 2, 163), (158, 24, 157), (217, 70, 107), (248, 135, 60), (253, 200, 40), (240, 249, 33)],
    dtype=np.float32,
)
"""Dark to bright; brightness rises steadily, so that it reads in grey and for colour-blind people."""


_TABLE = np.stack(
    [np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(_STOPS)), channel) for channel in _STOPS.T], axis=1
).round()
"""256 colours between the stops: a table is twenty times faster than interpolating every pixel."""


def colours(values: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Map values in [0, 1] to colours."""
    places = (np.clip(np.nan_to_num(values), 0, 1) * 255).round().astype(np.uint8)
    return np.asarray(_TABLE.astype(np.uint8)[places])


def stretched(anomaly_map: Float[np.ndarray, "h w"], low: float, high: float) -> Float[np.ndarray, "h w"]:
    """`low`..`high` spread over [0, 1]; values outside are clipped."""
    return np.clip((anomaly_map - low) / max(high - low, 1e-6), 0, 1)


def contour(mask: Bool[np.ndarray, "h w"], width: int = 2) -> Bool[np.ndarray, "h w"]:
    """The inner edge of the areas of a mask."""
    return np.asarray(mask & ~ndimage.binary_erosion(mask, iterations=width, border_value=1))


def picture(
    image: Image.Image,
    anomaly_map: Float[np.ndarray, "h w"],
    *,
    title: str,
    subtitle: str = "",
    boxes: tuple[Box, ...] = (),
    limits: tuple[float, float] = (0.0, 1.0),
    level: float | None = None,
    basis: str = "",
    marked: bool = True,
) -> Image.Image:
    """Two panels side by side: the image with boxes and contour, and the anomaly map over it with its scale of colours.

    Args:
        image: any size; both panels keep its aspect.
        anomaly_map: of the whole image, at any size.
        title: large, above.
        subtitle: small, below the title.
        boxes: drawn on the left panel with their phrase and score.
        limits: map values at both ends of the colours.
        level: map value the contour is drawn at; the middle between mean and maximum by default.
        basis: what the level stands for, in the legend.
        marked: whether contour and boxes are drawn at all; an image that is called good has none.
    """
    panel = _panel(image)
    field = resized(anomaly_map, panel.size)
    level = float(field.mean() + field.max()) / 2 if level is None else level
    grey = np.asarray(panel.convert("L").convert("RGB"), dtype=np.float32)
    over = Image.fromarray((0.45 * grey + 0.55 * colours(stretched(field, *limits))).round().astype(np.uint8))
    width, height = panel.size
    size = max(2 * width + 3 * MARGIN + SCALE, NARROWEST), height + STRIP + CAPTION + 2 * MARGIN
    sheet = Image.new("RGB", size, PAPER)
    right, top = width + 2 * MARGIN, STRIP + MARGIN
    outlined = marked and bool((field > level).any())
    visible = boxes if marked else ()
    edge = contour(field > level) if outlined else np.zeros(field.shape, bool)
    sheet.paste(_mark(panel, edge, visible), (MARGIN, top))
    sheet.paste(over, (right, top))
    draw = ImageDraw.Draw(sheet)
    _write(draw, (MARGIN, 6), title, 18, sheet.width - 2 * MARGIN)
    _write(draw, (MARGIN, 32), subtitle, 14, sheet.width - 2 * MARGIN)
    _scale(sheet, (right + width + MARGIN, top), height, limits)
    _write(
        draw, (MARGIN, top + height + 4), _legend(level, basis, marked, outlined, visible), 12, sheet.width - 2 * MARGIN
    )
    return sheet


def _legend(level: float, basis: str, marked: bool, outlined: bool, boxes: tuple[Box, ...]) -> str:
    if not marked:
        return "called good: nothing is marked"
    above = f"above {level:.2f}" + (f" ({basis})" if basis else "")
    line = f"white line: map {above}" if outlined else f"nothing to mark {above}"
    return line + ("; blue box: where to look" if boxes else "")


def _scale(sheet: Image.Image, at: tuple[int, int], height: int, limits: tuple[float, float]) -> None:
    """The colours of the map from low (bottom) to high, with the values at both ends and, given room, between."""
    left, top = at
    ramp = np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(BAR, axis=1)
    sheet.paste(Image.fromarray(colours(ramp)), at)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    ticks = 5 if height > 150 else 2 if height > 30 else 0
    for share in np.linspace(0, 1, ticks):
        y = top + (height - 1) * (1 - share)
        draw.line([left + BAR, y, left + BAR + 3, y], fill=INK)
        value = limits[0] + share * (limits[1] - limits[0])
        draw.text((left + BAR + 6, min(max(y, top + 6), top + height - 6)), f"{value:.2f}", INK, font, anchor="lm")


def _panel(image: Image.Image) -> Image.Image:
    scale = PANEL / max(image.size)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def resized(anomaly_map: Float[np.ndarray, "h w"], size: tuple[int, int]) -> Float[np.ndarray, "height width"]:
    """A map at another size, (width, height)."""
    floating = Image.fromarray(np.asarray(anomaly_map, dtype=np.float32))
    return np.asarray(floating.resize(size, Image.Resampling.BILINEAR), dtype=np.float32)


def _mark(panel: Image.Image, edge: Bool[np.ndarray, "h w"], boxes: tuple[Box, ...]) -> Image.Image:
    pixels = np.array(panel)
    pixels[ndimage.binary_dilation(edge)] = INK
    pixels[edge] = LINE
    marked = Image.fromarray(pixels)
    draw = ImageDraw.Draw(marked)
    for box in boxes:
        x0, y0, x1, y1 = box.clipped()[:4]
        corners = [x0 * panel.width, y0 * panel.height, x1 * (panel.width - 1), y1 * (panel.height - 1)]
        if corners[2] >= corners[0] and corners[3] >= corners[1]:
            around = [corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1]
            draw.rectangle(around, outline=INK, width=4)
            draw.rectangle(corners, outline=BOX, width=2)
            _label(draw, (corners[0], corners[1]), f"{box.phrase} {box.score:.2f}".strip(), panel.size)
    return marked


def _label(draw: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, size: tuple[int, int]) -> None:
    """Text on a dark ground above the corner of a box, or inside it where there is no room, always on the panel."""
    font = ImageFont.load_default(12)
    wide, high = draw.textlength(text, font=font) + 6, 16
    x = max(min(corner[0], size[0] - wide), 0)
    y = corner[1] - high if corner[1] >= high else corner[1] + 3
    draw.rectangle([x, y, x + wide, y + high], fill=INK)
    draw.text((x + 3, y + high / 2), text, PAPER, font, anchor="lm")


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, width: int) -> None:
    """Text that ends with an ellipsis where there is no room."""
    font = ImageFont.load_default(size)
    while text and draw.textlength(text, font=font) > width:
        text = text.rstrip("…")[:-1] + "…" if len(text) > 1 else ""
    draw.text(at, text, fill=INK, font=font)
