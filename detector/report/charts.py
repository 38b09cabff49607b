"""Charts as SVG that belongs into a page: colours from its style sheet, text as text, the same bytes every time.

matplotlib is loaded when a chart is drawn, not before. It draws with stand-ins: each colour that the page decides is
a number that `_finished` turns into a CSS variable, and each text from files or models a key that it turns into that
text. So no name is taken for a formula, none asks for a font, and light and dark need no second picture.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from detector.metrics.values import Line
from detector.report.pages import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Tone = Literal["good", "anomalous", "plain"]

SERIES = 8
"""Colours of the style sheet for lines: `--series-0` and so on."""
DASHES = ((), (6, 2), (2, 2), (8, 2, 2, 2), (1, 1.5))
"""Line patterns in points, so that lines are told apart without colour; with the colours they give 40 looks."""
MARKS = 2000
"""Marks of one strip; of more scores evenly spaced ones are drawn, the lowest and the highest among them."""
LABEL = 46
"""Characters of a description in a chart; the whole text is in its tooltip and in the table beside."""
COLUMNS = 150
"""Columns in which the marks of a strip pile up."""
WIDE = 12.0
"""Width in inches of the charts that take the whole width of a page."""
STRIP, ROW = 0.5, 0.26
"""Height in inches of one row of a strip chart and of a forest plot."""

_VARIABLES = {1: "ink", 2: "muted", 3: "line", 4: "good", 5: "anomalous"} | {
    16 + index: f"series-{index}" for index in range(SERIES)
}
_NUMBERS = {name: number for number, name in _VARIABLES.items()}
_MARKER = {"good": "o", "anomalous": "^", "plain": "o"}


class Strip(NamedTuple):
    """Scores that belong together, as one row of marks."""

    label: str
    tone: Tone
    scores: Sequence[float]


class Band(NamedTuple):
    """A curve with what the bootstrap leaves open, and its place among the series."""

    line: Line
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
    with _figure(WIDE, height) as figure:
        axes = _axes(figure, (1.9 / WIDE, bottom / height, 10.0 / WIDE, STRIP * len(strips) / height))
        everything = [score for strip in strips for score in strip.scores] + ([] if threshold is None else [threshold])
        low, high = min(everything), max(everything)
        margin = 0.03 * (high - low or 1)
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(len(strips) - 0.5, -0.5)
        for index, strip in enumerate(strips):
            x, y = _piled(strip.scores, low, high)
            colour = _colour("ink" if strip.tone == "plain" else strip.tone)
            looks: dict[str, Any] = {"marker": _MARKER[strip.tone], "color": colour, "alpha": 0.7, "linewidths": 0}
            axes.scatter(x, index - 0.4 * y, s=26, **looks)
        axes.set_yticks(range(len(strips)), list(texts))
        if threshold is not None:
            axes.axvline(threshold, color=_colour("ink"), linestyle=(0, (4, 2)), linewidth=1.2)
            _annotate(axes, threshold, left=threshold > (low + high) / 2)
        axes.set_xlabel("score", labelpad=2)
        axes.spines["left"].set_visible(False)
        extents = (f"{strip.label} from {min(strip.scores):.3f} to {max(strip.scores):.3f}" for strip in strips)
        border = "" if threshold is None else f"; threshold {threshold:.3f}"
        return _finished(figure, name, f"Scores: {'; '.join(extents)}{border}", texts)


def draw_curves(curves: Sequence[Band], x: str, y: str, *, name: str, title: str) -> Markup:
    """Curves over the unit square, in the looks of `legend`, bands behind them.

    Args:
        curves: the first one lies on top.
        x: name of the horizontal axis.
        y: name of the vertical axis.
        name: of the chart, unique within its page.
        title: for readers who do not see it.
    """
    with _figure(3.6, 3.5) as figure:
        axes = _axes(figure, (0.16, 0.15, 0.81, 0.82))
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
        axes.set_aspect("equal", adjustable="box")
        axes.grid(color=_colour("line"), linewidth=0.6)
        for index, curve in reversed(list(enumerate(curves))):
            colour = _colour(f"series-{index % SERIES}")
            if curve.x is not None and curve.low is not None and curve.high is not None:
                axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.14, linewidth=0)
            line = _thinned(curve.line)
            axes.plot(line.x, line.y, color=colour, linewidth=1.7, dashes=_dashes(index) or (None, None))
        axes.set_xlabel(x, labelpad=2)
        axes.set_ylabel(y, labelpad=2)
        return _finished(figure, name, title, {})


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
    with _figure(WIDE, height) as figure:
        axes = _axes(figure, (4.0 / WIDE, bottom / height, 7.8 / WIDE, 1 - (bottom + top) / height))
        axes.set_ylim(len(effects) - 0.5, -0.5)
        axes.axvline(0, color=_colour("muted"), linewidth=1)
        for index, each in enumerate(effects):
            looks = {"helps": ("good", "^"), "hurts": ("anomalous", "v")}.get(each.verdict, ("muted", "o"))
            if each.interval is not None:
                axes.plot(each.interval, (index, index), color=_colour(looks[0]), linewidth=1.6, solid_capstyle="butt")
            if each.value is not None:
                axes.plot([each.value], [index], marker=looks[1], markersize=6, color=_colour(looks[0]))
        axes.margins(x=0.05)
        axes.set_yticks(range(len(effects)), list(texts))
        axes.grid(axis="x", color=_colour("line"), linewidth=0.6)
        axes.set_xlabel(title, labelpad=2)
        axes.spines["left"].set_visible(False)
        return _finished(figure, name, title, texts)


def _annotate(axes: "Axes", threshold: float, *, left: bool) -> None:
    """Write the threshold above its line, on the side where there is room."""
    axes.annotate(
        f"threshold {threshold:.3f}", (threshold, 1), xycoords=("data", "axes fraction"), xytext=(-3 if left else 3, 3),
        textcoords="offset points", ha="right" if left else "left", fontsize=8.5, color=_colour("ink"),
    )  # fmt: skip


def _colour(name: str) -> str:
    """The stand-in of a CSS variable."""
    return f"#0000{_NUMBERS[name]:02x}"


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


def _thinned(line: Line, most: int = 300) -> Line:
    """At most `most` points of a curve, its ends among them."""
    kept = np.unique(np.linspace(0, len(line.x) - 1, most).astype(int))
    return Line(np.asarray(line.x)[kept], np.asarray(line.y)[kept])


@contextmanager
def _figure(width: float, height: float) -> Iterator["Figure"]:
    """A figure of a size in inches, in our style whatever the user's own is."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": "filo-forge",
                "font.size": 9.5,
                "axes.unicode_minus": False,
                "axes.edgecolor": _colour("line"),
                "axes.labelcolor": _colour("muted"),
                "xtick.color": _colour("line"),
                "ytick.color": _colour("line"),
                "xtick.labelcolor": _colour("ink"),
                "ytick.labelcolor": _colour("ink"),
                "ytick.major.size": 0,
                "text.color": _colour("ink"),
            }
        )
        yield Figure(figsize=(width, height), facecolor="none")


def _axes(figure: "Figure", box: tuple[float, float, float, float]) -> "Axes":
    axes = figure.add_axes(box, facecolor="none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    return axes


def _finished(figure: "Figure", name: str, title: str, texts: Mapping[str, str]) -> Markup:
    """The figure as an element of a page.

    Args:
        figure: as drawn.
        name: comes before every id, which is then unique within the page.
        title: what it shows, in words.
        texts: what stands where matplotlib wrote a key.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ElementTree.fromstring(stream.getvalue())
    for parent in root.iter():
        for child in list(parent):
            if child.tag.endswith(("metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {key.rpartition("}")[2]: _linked(key, value, name) for key, value in element.attrib.items()}
        element.tail = None
        if element.tag == "text":
            _write(element, texts)
        elif element.text is not None and not element.text.strip():
            element.text = None
    root.attrib = {"viewBox": root.attrib["viewBox"], "class": "chart", "role": "img", "aria-label": plain(title)}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _linked(key: str, value: str, name: str) -> str:
    """An attribute with ids of this chart and colours of the page."""
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{name}-")
    value = re.sub(r"url\(#", f"url(#{name}-", value)
    value = re.sub(r"font-family: [^;]*;? ?", "", value)  # the page's own
    return re.sub(r"#0000([0-9a-f]{2})\b", lambda found: _variable(int(found[1], 16)), value)


def _variable(number: int) -> str:
    return f"var(--{_VARIABLES.get(number, 'ink')})"


def _write(element: Any, texts: Mapping[str, str]) -> None:
    """Put the text in place of its key, cut to `LABEL` characters, whole in a tooltip."""
    key = (element.text or "").strip()
    if key not in texts:
        return
    whole = plain(texts[key])
    element.text = whole if len(whole) <= LABEL else whole[: LABEL - 1].rstrip() + "…"
    if element.text != whole:
        ElementTree.SubElement(element, "title").text = whole
