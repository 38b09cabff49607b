"""Figures of matplotlib as elements of a page: its colours, text as text, the same bytes every time.

matplotlib is loaded when a chart is drawn, not before. It draws with stand-ins: each colour that the page decides is
a number that `finish` turns into a CSS variable, and each text from files or models a key that it turns into that
text. So no name is taken for a formula, none asks for a font, and light and dark need no second picture.
"""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from detector.report.pages import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = 8
"""Colours of the style sheet for lines: `--series-0` and so on."""
LABEL = 52
"""Characters of a description in a chart; the whole text is in its tooltip and in the table beside."""
_VARIABLES = {1: "ink", 2: "muted", 3: "line", 4: "good", 5: "anomalous"} | {
    16 + index: f"series-{index}" for index in range(SERIES)
}
_NUMBERS = {name: number for number, name in _VARIABLES.items()}


def css_colour(name: str) -> str:
    """The stand-in of a CSS variable."""
    return f"#0000{_NUMBERS[name]:02x}"


@contextmanager
def create_figure(width: float, height: float) -> Iterator["Figure"]:
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
                "axes.edgecolor": css_colour("line"),
                "axes.labelcolor": css_colour("muted"),
                "xtick.color": css_colour("line"),
                "ytick.color": css_colour("line"),
                "xtick.labelcolor": css_colour("ink"),
                "ytick.labelcolor": css_colour("ink"),
                "ytick.major.size": 0,
                "text.color": css_colour("ink"),
            }
        )
        yield Figure(figsize=(width, height), facecolor="none")


def create_axes(figure: "Figure", box: tuple[float, float, float, float]) -> "Axes":
    """Axes without a frame at left, bottom, width and height, as parts of the figure."""
    axes = figure.add_axes(box, facecolor="none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    return axes


def finish(figure: "Figure", name: str, title: str, texts: Mapping[str, str]) -> Markup:
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
    return re.sub(r"#0000([0-9a-f]{2})\b", lambda match: _variable(int(match[1], 16)), value)


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
