"""Made-up photos of one product: a ring on a grey plate, slightly different each time."""

import numpy as np
from PIL import Image, ImageDraw


def plate(seed: int, *, scratched: bool = False, size: tuple[int, int] = (96, 96), turn: float = 0) -> Image.Image:
    """One photo; `scratched` paints a dark cross on it that no good one has."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, (150, 150, 155))
    draw = ImageDraw.Draw(picture)
    width, height = size
    draw.ellipse((width * 0.2, height * 0.2, width * 0.8, height * 0.8), outline=(60, 90, 160), width=8)
    draw.rectangle((width * 0.45, height * 0.1, width * 0.55, height * 0.2), fill=(190, 60, 40))
    if scratched:
        draw.line((width * 0.3, height * 0.6, width * 0.7, height * 0.75), fill=(5, 5, 5), width=5)
        draw.line((width * 0.35, height * 0.8, width * 0.6, height * 0.5), fill=(250, 250, 90), width=4)
    noise = rng.normal(0, 5, (height, width, 3))
    picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    return picture.rotate(turn, fillcolor=(150, 150, 155)) if turn else picture
