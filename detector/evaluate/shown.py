"""How numbers of an evaluation are shown: as fractions, as in every file, so that a score on the screen can be typed.

A difference counts only where its interval excludes zero and three decimals show it.
"""

from collections.abc import Sequence

from detector.evaluate.bootstrap import Interval, excludes_zero
from detector.metrics.compute import METRICS

DECIMALS = 3


def fraction(value: float | None, *, signed: bool = False) -> str:
    """Such as `.853`, `1.000`, or `+.012`; a dash where there is no value.

    >>> fraction(0.8531), fraction(1.0), fraction(None), fraction(-0.0301, signed=True), fraction(-0.0001, signed=True)
    ('.853', '1.000', '-', '-.030', '.000')
    """
    if value is None:
        return "-"
    rounded = round(value, DECIMALS) or 0.0  # never -0.0
    sign = "+" if signed and rounded > 0 else ""
    text = f"{sign}{rounded:.{DECIMALS}f}"
    return text.replace("0.", ".", 1) if abs(rounded) < 1 else text


def between(bounds: Sequence[float] | None, *, signed: bool = False) -> str:
    """An interval, such as `.800-.901` or `-.010 +.034`; empty where there is none."""
    if bounds is None:
        return ""
    low, high = (fraction(end, signed=signed) for end in bounds)
    return f"{low} {high}" if signed else f"{low}-{high}"


def is_certain(value: float | None, bounds: Interval | None) -> bool:
    """Whether a difference is beyond doubt: its interval excludes zero, and it does not round to zero."""
    return value is not None and round(value, DECIMALS) != 0 and excludes_zero(bounds)


def change(value: float | None, bounds: Interval | None) -> str:
    """A difference above the two ends of its interval, with a star where it is certain."""
    text = fraction(value, signed=True)
    if value is None or bounds is None:
        return text
    ends = between(bounds, signed=True).replace(" ", "\n")  # below each other: six columns must fit into 80
    return f"{text}{'*' if is_certain(value, bounds) else ''}\n{ends}"


def in_words(first: str, other: str, changes: Sequence[tuple[float | None, Interval | None]]) -> str:
    """One sentence: in what `other` is better and worse than `first`, where the interval leaves no doubt.

    Args:
        first: name of the variant compared with.
        other: name of the variant.
        changes: `other` minus `first` with its interval, for each of `METRICS`.
    """
    sure = [
        (metric, value) for metric, (value, bounds) in zip(METRICS, changes, strict=True) if is_certain(value, bounds)
    ]
    better = ", ".join(metric_name(metric) for metric, value in sure if (value or 0) > 0)
    worse = ", ".join(metric_name(metric) for metric, value in sure if (value or 0) < 0)
    said = [f"{word} in {metrics}" for word, metrics in (("better", better), ("worse", worse)) if metrics]
    return f"{other} against {first}: {'; '.join(said) or 'no evidence of a difference'}"


def metric_name(name: str) -> str:
    """A metric as people write it."""
    titles = {"auroc": "AUROC", "ap": "AP", "f1max": "F1-max", "aupro": "AUPRO"}
    return " ".join(titles.get(word, word) for word in name.split("_"))
