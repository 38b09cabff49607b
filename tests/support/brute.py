"""Straightforward metrics, for a second opinion: scikit-learn, and AUPRO with a loop over thresholds and regions."""

import numpy as np
from scipy import ndimage
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score


def region_masks(masks):
    """Every 8-connected region of every mask, as (image index, boolean mask)."""
    regions = []
    for index, mask in enumerate(masks):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [(index, labels == label) for label in range(1, count + 1)]
    return regions


def pro_points(maps, masks, thresholds, *, inclusive):
    """False positive rate and mean region overlap at each threshold, one threshold after the other."""
    maps, masks = np.stack(maps), np.stack(masks)
    regions = region_masks(masks)
    points = []
    for threshold in thresholds:
        marked = maps >= threshold if inclusive else maps > threshold
        overlap = np.mean([marked[index][region].mean() for index, region in regions])
        points.append((marked[~masks].mean(), overlap))
    return np.array(points).T


def brute_aupro(maps, masks, limit=0.3):
    """AUPRO with every distinct score as a threshold."""
    thresholds = np.unique(np.stack(maps))[::-1]
    rate, overlap = pro_points(maps, masks, thresholds, inclusive=True)
    rate, overlap = np.concatenate(([0.0], rate)), np.concatenate(([0.0], overlap))
    last = np.flatnonzero(rate <= limit)[-1]
    xs, ys = list(rate[: last + 1]), list(overlap[: last + 1])
    if xs[-1] < limit:
        share = (limit - rate[last]) / (rate[last + 1] - rate[last])
        xs.append(limit)
        ys.append(overlap[last] + share * (overlap[last + 1] - overlap[last]))
    return np.trapezoid(ys, xs) / limit


def legacy_aupro(maps, masks, limit=0.3):
    """AUPRO as released code computes it: 200 thresholds, rates below the limit stretched to [0, 1]."""
    low, high = float(np.min(maps)), float(np.max(maps))
    rate, overlap = pro_points(maps, masks, np.arange(low, high, (high - low) / 200), inclusive=False)
    kept = rate < limit
    rate, overlap = rate[kept], overlap[kept]
    return auc((rate - rate.min()) / (rate.max() - rate.min()), overlap)


def sklearn_metrics(scores, labels, prefix):
    """AUROC, AP and F1-max through scikit-learn."""
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return {
        f"{prefix}_auroc": roc_auc_score(labels, scores),
        f"{prefix}_ap": average_precision_score(labels, scores),
        f"{prefix}_f1max": f1.max(),
    }
