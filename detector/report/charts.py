"""Charts of scores, curves and contributions, as SVG for the pages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from detector.report.svg import SERIES, create_axes, create_figure, css_colour, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from detector.metrics.values import Line

Tone = Literal["good", "anomalous", "plain"]

DASHES = ((), (6, 2), (2, 2), (8, 2, 2, 2), (1, 1.5))
"""Line patterns in points, so that lines are told apart without colour; with the colours they give 40 looks."""
MARKS = 2000
"""Marks of one strip; of more scores evenly spaced ones are drawn, the lowest and the highest among them."""
COLUMNS = 150
"""Columns in which the marks of a strip pile up."""
WIDE = 12.0
"""Width in inches of the charts that take the whole width of a page."""
STRIP, ROW = 0.5, 0.26
"""Height in inches of one row of a strip chart and of a forest plot."""

_MARKER = {"good": "o", "anomalous": "^", "plain": "o"}


class Strip(NamedTuple):
    """Scores that belong together, as one row of marks."""

    label: str
    tone: Tone
    scores: Sequence[float]


class Band(NamedTuple):
    """A curve with what the bootstrap leaves open, and its place among the series."""

    line: "Line"
    x: NDArray[np.float64] | None
    """Where the band is known; None for a curve without one."""
    low: NDArray[np.float64] | None
    high: NDArray[np.float64] | None


class Effect(NamedTuple):
    """One row of a forest plot."""

    label: str
    value: float | None
    interval: tuple[float, float] | None
    verdict: str
    """`helps`, `hurts` or anything else."""


class Key(NamedTuple):
    """How a series is drawn, for the legend in the page."""

    name: str
    colour: str
    """CSS variable."""
    dashes: str
    """For `stroke-dasharray`."""


def legend(names: Sequence[str]) -> list[Key]:
    """The looks of series in the order in which `draw_curves` gets them."""
    return [
        Key(name, f"--series-{index % SERIES}", " ".join(f"{part:g}" for part in _dashes(index)))
        for index, name in enumerate(names)
    ]


def draw_strips(strips: Sequence[Strip], threshold: float | None = None, *, name: str) -> Markup:
    """Every score as a mark in the row of its group, piled up where many are alike, with the threshold across.

    Args:
        strips: from top to bottom.
        threshold: score from which an image is anomalous.
        name: of the chart, unique within its page.
    """
    texts = {f"row{index}": f"{strip.label} ({len(strip.scores)})" for index, strip in enumerate(strips)}
    bottom = 0.42
    height = STRIP * len(strips) + bottom + 0.24
    with create_figure(WIDE, height) as figure:
        axes = create_axes(figure, (1.9 / WIDE, bottom / height, 10.0 / WIDE, STRIP * len(strips) / height))
        everything = [score for strip in strips for score in strip.scores] + ([] if threshold is None else [threshold])
        low, high = min(everything), max(everything)
        margin = 0.03 * (high - low or 1)
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(len(strips) - 0.5, -0.5)
        for index, strip in enumerate(strips):
            x, y = _piled(strip.scores, low, high)
            colour = css_colour("ink" if strip.tone == "plain" else strip.tone)
            looks: dict[str, Any] = {"marker": _MARKER[strip.tone], "color": colour, "alpha": 0.7, "linewidths": 0}
            axes.scatter(x, index - 0.4 * y, s=26, **looks)
        axes.set_yticks(range(len(strips)), list(texts))
        if threshold is not None:
            axes.axvline(threshold, color=css_colour("ink"), linestyle=(0, (4, 2)), linewidth=1.2)
            _annotate(axes, threshold, left=threshold > (low + high) / 2)
        axes.set_xlabel("score", labelpad=2)
        axes.spines["left"].set_visible(False)
        extents = (f"{strip.label} from {min(strip.scores):.3f} to {max(strip.scores):.3f}" for strip in strips)
        border = "" if threshold is None else f"; threshold {threshold:.3f}"
        return finish(figure, name, f"Scores: {'; '.join(extents)}{border}", texts)


def draw_curves(curves: Sequence[Band], x: str, y: str, *, name: str, title: str) -> Markup:
    """Curves over the unit square, in the looks of `legend`, bands behind them.

    Args:
        curves: the first one lies on top.
        x: name of the horizontal axis.
        y: name of the vertical axis.
        name: of the chart, unique within its page.
        title: for readers who do not see it.
    """
    with create_figure(3.6, 3.5) as figure:
        axes = create_axes(figure, (0.16, 0.15, 0.81, 0.82))
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.set_aspect("equal", adjustable="box")
        axes.grid(color=css_colour("line"), linewidth=0.6)
        for index, curve in reversed(list(enumerate(curves))):
            colour = css_colour(f"series-{index % SERIES}")
            if curve.x is not None and curve.low is not None and curve.high is not None:
                axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.14, linewidth=0)
            line = _thinned(curve.line)
            axes.plot(line.x, line.y, color=colour, linewidth=1.7, dashes=_dashes(index) or (None, None))
        axes.set_xlabel(x, labelpad=2)
        axes.set_ylabel(y, labelpad=2)
        return finish(figure, name, title, {})


def draw_forest(effects: Sequence[Effect], *, name: str, title: str) -> Markup:
    """What each description is worth: a mark with its interval per row, and the line of no effect.

    Args:
        effects: from top to bottom.
        name: of the chart, unique within its page.
        title: for readers who do not see it; also names the horizontal axis.
    """
    texts = {f"row{index}": each.label for index, each in enumerate(effects)}
    bottom, top = 0.45, 0.1
    height = ROW * len(effects) + bottom + top
    with create_figure(WIDE, height) as figure:
        axes = create_axes(figure, (4.0 / WIDE, bottom / height, 7.8 / WIDE, 1 - (bottom + top) / height))
        axes.set_ylim(len(effects) - 0.5, -0.5)
        axes.axvline(0, color=css_colour("muted"), linewidth=1)
        for index, each in enumerate(effects):
            tone, marker = {"helps": ("good", "^"), "hurts": ("anomalous", "v")}.get(each.verdict, ("muted", "o"))
            colour = css_colour(tone)
            if each.interval is not None:
                axes.plot(each.interval, (index, index), color=colour, linewidth=1.6, solid_capstyle="butt")
            if each.value is not None:
                axes.plot([each.value], [index], marker=marker, markersize=6, color=colour)
        axes.margins(x=0.05)
        axes.set_yticks(range(len(effects)), list(texts))
        axes.grid(axis="x", color=css_colour("line"), linewidth=0.6)
        axes.set_xlabel(title, labelpad=2)
        axes.spines["left"].set_visible(False)
        return finish(figure, name, title, texts)


def _annotate(axes: "Axes", threshold: float, *, left: bool) -> None:
    """Write the threshold above its line, on the side where there is room."""
    axes.annotate(
        f"threshold {threshold:.3f}", (threshold, 1), xycoords=("data", "axes fraction"), xytext=(-3 if left else 3, 3),
        textcoords="offset points", ha="right" if left else "left", fontsize=8.5, color=css_colour("ink"),
    )  # fmt: skip


def _dashes(index: int) -> tuple[float, ...]:
    return DASHES[index % len(DASHES)]


def _piled(scores: Sequence[float], low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores with an offset in [-1, 1] each: those in one of `COLUMNS` lie in turn above and below each other."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    if len(ordered) > MARKS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, MARKS).round().astype(int)]
    column = ((ordered - low) / ((high - low) or 1) * COLUMNS).astype(int)
    place = np.arange(len(ordered)) - np.searchsorted(column, column)
    offset = (place + 1) // 2 * np.where(place % 2, 1, -1)
    return ordered, offset / max(int(abs(offset).max()), 4)


def _thinned(line: "Line", most: int = 300) -> "Line":
    """At most `most` points of a curve, its ends among them."""
    points = np.unique(np.linspace(0, len(line.x) - 1, most).astype(int))
    return line._replace(x=line.x[points], y=line.y[points])
