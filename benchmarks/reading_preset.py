"""Maps of a shipped model on the photos that `benchmarks.reading` measures, to compare with.

Run: python -m benchmarks.reading_preset detector/presets/mini --data DATA --work WORK. Writes `WORK/preset.npz`: for
each product `<product> index`, its photos by number, and `<product> maps` [photos, 84, 84], of the right words.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.reading import GRID, right
from detector.images.tensors import to_pixels
from detector.scoring.maps import mean_map
from detector.scoring.prompts import AnomalyText, prompt_set
from detector.weights.checkpoint import load_checkpoint
from tools.pretrain import photos, phrases


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--every", type=int, default=2)
    args = parser.parse_args()
    model, out = load_checkpoint(args.model / "model.safetensors"), {}
    listed = photos.draw(args.data)
    for product in photos.PRODUCTS:
        name, texts = right(product)
        words = prompt_set(name, phrases.NORMAL[:6], [AnomalyText(t, t) for t in texts], phrases.STATES[:5])
        own = [photo for photo in listed if photo.product == product]
        places, maps, text = range(0, len(own), args.every), [], None
        for index in places:
            features = model.encode_image(to_pixels(Image.open(own[index].image), model.config)[None])
            text = text or model.encode_text(features.embedding, [words])
            combined = mean_map(model.anomaly_maps(model.patch_embeddings(features), text))
            maps.append(F.interpolate(combined[:, None], (GRID, GRID), mode="area")[0, 0].numpy())
        out |= {f"{product} index": np.array(places), f"{product} maps": np.stack(maps)}
        np.savez(args.work / "preset.npz", **out)
        print(product, len(maps), flush=True)


if __name__ == "__main__":
    main()
