"""From the model's maps to one anomaly map and one score an image. Pure functions."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

AnomalyMap = Float[Tensor, "batch height width"]
ModelMaps = tuple[Float[Tensor, "batch 2 height width"], ...]

BLUR_SIZE = 3
"""Side of the blur in pixels."""
BLUR_SIGMA = 4.0
"""Its standard deviation in pixels; wider than its window, so nearly a mean of nine."""
OUTSIDE = 0.7
"""What a anomaly map is multiplied with outside the boxes of a localizer."""


def mean_map(maps: ModelMaps) -> AnomalyMap:
    """Mean of the blurred abnormality of all maps, in [0, 1]; the blur is linear, so the mean is blurred, once."""
    return blur(torch.stack([abnormality(level) for level in maps]).mean(0))


def abnormality(level: Float[Tensor, "batch 2 height width"]) -> AnomalyMap:
    """Abnormal against normal probability, brought to [0, 1]."""
    return (level[:, 1] - level[:, 0] + 1) / 2


def blur(maps: AnomalyMap, size: int = BLUR_SIZE, sigma: float = BLUR_SIGMA) -> AnomalyMap:
    """Gaussian blur in a square window, reflected at the border."""
    offsets = torch.arange(size, device=maps.device, dtype=maps.dtype) - (size - 1) / 2
    line = torch.exp(-0.5 * (offsets / sigma) ** 2)
    line = line / line.sum()
    padded = F.pad(maps[:, None], [size // 2] * 4, mode="reflect")
    return F.conv2d(padded, torch.outer(line, line)[None, None])[:, 0]


def image_score(similarity: Float[Tensor, "batch 2"], anomaly_map: AnomalyMap) -> Float[Tensor, " batch"]:
    """Mean of the image's abnormal cosine and the highest point of its anomaly map before any gating."""
    return (similarity[:, 1] + anomaly_map.amax((-2, -1))) / 2


def box_mask(boxes: Float[Tensor, "boxes 4"], height: int, width: int) -> Bool[Tensor, "height width"]:
    """Pixels that any box touches.

    Args:
        boxes: x0, y0, x1, y1 in units of the image; parts outside the image are cut off.
        height: of the mask, in pixels.
        width: of the mask, in pixels.
    """
    mask = torch.zeros(height, width, dtype=torch.bool, device=boxes.device)
    scale = boxes.new_tensor([width, height, width, height])
    lower, upper = (boxes * scale).clamp(min=0).floor().long(), (boxes * scale).clamp(min=0).ceil().long()
    for start, end in zip(lower[:, :2].tolist(), upper[:, 2:].tolist(), strict=True):
        mask[start[1] : end[1], start[0] : end[0]] = True
    return mask


def gate(anomaly_map: AnomalyMap, boxes: list[Float[Tensor, "_ 4"]], outside: float = OUTSIDE) -> AnomalyMap:
    """Anomaly maps with less weight outside the boxes of each image; an image without boxes keeps its map as it is."""
    height, width = anomaly_map.shape[-2:]
    inside = [
        box_mask(each, height, width) if len(each) else torch.ones_like(anomaly_map[0], dtype=torch.bool)
        for each in boxes
    ]
    return torch.where(torch.stack(inside).to(anomaly_map.device), anomaly_map, anomaly_map * outside)


def gate_released(
    anomaly_map: Float[Tensor, "height width"], rectangles: Float[Tensor, "boxes 4"], outside: float = OUTSIDE
) -> Float[Tensor, "height width"]:
    """Gating as the released evaluation does it, quirks included (variant `released`).

    Pixel edges are truncated and used as slice bounds, so a box that starts at -1 or less is lost and a negative end
    counts from the far side; a pixel whose value is exactly 1 counts as inside; without a usable box everything is
    outside.

    Args:
        anomaly_map: one anomaly map.
        rectangles: x0, y0, x1, y1 in pixels.
        outside: factor outside the boxes.
    """
    inside = anomaly_map == 1
    for x0, y0, x1, y1 in rectangles.tolist():
        inside[int(y0) : int(y1), int(x0) : int(x1)] = True
    return torch.where(inside, anomaly_map, anomaly_map * outside)
