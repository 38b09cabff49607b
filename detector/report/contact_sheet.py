"""One picture of all references of a bank, with what each scores against the others."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from descriptions.common.files import staged
from descriptions.common.terminal import printable
from detector.context.bank import Bank
from detector.errors import DetectorError, cannot_write

TILE = 180
"""Side in pixels of a photo on the sheet."""
LINE = 22
"""Height in pixels of a line of text; each photo has two."""
COLUMNS = 6
GAP = 10
PAPER, INK, ODD = (255, 255, 255), (30, 30, 30), (190, 20, 20)


def write_sheet(path: Path, bank: Bank, load: Callable[[str], Image.Image]) -> int:
    """Draw the photos in rows, the highest score first; those that look odd have a red frame.

    Args:
        path: of the picture, whole or not at all; the ending of the name says the format.
        bank: of references.
        load: reads a photo by its name.

    Returns:
        How many photos are not where they were; grey squares stand for them.

    Raises:
        DetectorError: an ending that is no format of pictures.
        OutputError: the file cannot be written.
    """
    form = Image.registered_extensions().get(path.suffix.lower())
    if form not in Image.SAVE:
        raise DetectorError(f"{path}: no format of pictures has the ending {path.suffix!r}", expected=".png or .jpg")
    scores, odd = bank.scores, {each.name for each in bank.check()}
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    names = [bank.info.references[index].name for index in order]
    photos = [_thumbnail(name, load) for name in names]
    lines = [(Path(name).name, f"{scores[index]:.2f}") for name, index in zip(names, order, strict=True)]
    sheet = _drawn(photos, lines, [name in odd for name in names])
    try:
        with staged(path) as part:
            sheet.save(part, form)
    except OSError as error:
        raise cannot_write(path, error, "another file") from error
    return sum(photo is None for photo in photos)


def _thumbnail(name: str, load: Callable[[str], Image.Image]) -> Image.Image | None:
    try:
        picture = load(name)
    except DetectorError:
        return None
    return ImageOps.contain(picture, (TILE, TILE))


def _drawn(photos: Sequence[Image.Image | None], lines: Sequence[tuple[str, str]], odd: Sequence[bool]) -> Image.Image:
    columns = min(COLUMNS, len(photos))
    rows = -(-len(photos) // columns)
    wide, high = TILE + GAP, TILE + 2 * LINE + GAP
    sheet = Image.new("RGB", (columns * wide + GAP, rows * high + GAP), PAPER)
    draw, letters = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (photo, (name, score), marked) in enumerate(zip(photos, lines, odd, strict=True)):
        left, top = GAP + number % columns * wide, GAP + number // columns * high
        if photo is None:
            draw.rectangle((left, top, left + TILE, top + TILE), (200, 200, 200))
            draw.text((left + GAP, top + GAP), "not there", INK, letters)
        else:
            sheet.paste(photo, (left + (TILE - photo.width) // 2, top + (TILE - photo.height) // 2))
        if marked:
            draw.rectangle((left - 3, top - 3, left + TILE + 3, top + TILE + 3), outline=ODD, width=4)
        name = printable(name)
        while draw.textlength(name, letters) > TILE and len(name) > 4:
            name = "…" + name[2:]
        draw.text((left, top + TILE + 4), name, INK, letters)
        said = f"{score}, looks odd" if marked else score
        draw.text((left, top + TILE + LINE), said, ODD if marked else INK, letters)
    return sheet
