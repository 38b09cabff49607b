"""Worlds for `prompt-forge improve`: versions scored from a matrix of phrases and photos, in no time."""

import numpy as np

from descriptions.format.schema import Anomaly, DescriptionFile
from prompt_forge.improve.measuring import Measured, Photo

PHRASES = tuple(f"p{index}" for index in range(10))


class Matrix:
    """Versions scored from what every phrase says of every photo, as the detector does: the mean of the phrases."""

    model = "matrix"

    def __init__(self, says, defective):
        self.says = says
        self.photos = tuple(Photo(f"{at}.png", f"{at}", "", bool(bad)) for at, bad in enumerate(defective))

    def measure(self, versions, *, leave_one_out=False):
        return [self._one(version, leave_one_out) for version in versions]

    def _one(self, version, leave_one_out):
        texts = {entry.id: entry.text for entry in version.anomalies if entry.enabled}
        rows = {name: self.says[text] for name, text in texts.items()}
        without = {name: self._mean([row for key, row in rows.items() if key != name]) for name in rows}
        nearest = tuple(max(rows, key=lambda name: rows[name][at]) for at in range(len(self.photos)))
        return Measured(self._mean(list(rows.values())), nearest, without if leave_one_out else {})

    @staticmethod
    def _mean(rows):
        return np.mean(rows, axis=0) if rows else np.zeros(1000)


def version(*texts):
    entries = tuple(Anomaly(id=text, text=text, family="crack") for text in texts)
    return DescriptionFile(category="gear", object_name="gear", anomalies=entries)


def world(seed, *, photos=60, signal=0.0, glare=0.0):
    rng = np.random.default_rng(seed)
    defective = rng.permutation(np.arange(photos) % 2 == 0)
    common = rng.normal(size=photos)
    says = {name: 0.5 * common + rng.normal(size=photos) + signal * defective for name in PHRASES}
    says |= {f"n{at}": 0.5 * common + rng.normal(size=photos) for at in range(20)}
    says["glare"] = rng.normal(size=photos) - glare * defective
    return Matrix(says, defective)
