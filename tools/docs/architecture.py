"""Draw the rooms of the code from its imports: `python -m tools.docs.architecture` writes the picture and the table.

A room is a package below `detector`, `prompt_forge` or `descriptions`; the files beside them count as the house itself.
An arrow says that something in one room imports something in another; arrows that follow from others are left out.
"""

import re
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import grimp
import networkx as nx
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
PAGE = ROOT / "docs" / "architecture.md"
HOUSES = ("detector", "prompt_forge", "descriptions")
BEGIN, END = "<!-- rooms: made by tools/docs/architecture.py -->", "<!-- end of rooms -->"
COLOURS = {"prompt_forge": "#e4f2df", "descriptions": "#f8ecd2", "detector": "#dbe7f6"}
"""Of the houses, from left to right."""
STEP = 2.2
"""From one room to the next on its floor."""
WIDTH, HEIGHT = 1.9, 0.62
"""Of a room in the picture, in units of the grid's spacing."""


class Room(NamedTuple):
    """A package, or the loose files of a house."""

    name: str
    """`detector.scoring`, or `detector` for the loose files."""
    files: int
    imports: tuple[str, ...]
    """Rooms it imports from, by name."""


@cache
def rooms() -> tuple[Room, ...]:
    """All rooms with what they import, sorted by name."""
    graph = grimp.build_graph(*HOUSES, cache_dir=None)
    modules = [module for module in graph.modules if _is_ours(module)]
    counts: dict[str, int] = {}
    imports: dict[str, set[str]] = {}
    for module in modules:
        room = room_of(module)
        counts[room] = counts.get(room, 0) + 1
        others = {room_of(each) for each in graph.find_modules_directly_imported_by(module) if _is_ours(each)}
        imports.setdefault(room, set()).update(others - {room})
    return tuple(Room(name, counts[name], tuple(sorted(imports[name]))) for name in sorted(counts))


def _is_ours(module: str) -> bool:
    """Whether a module stands in a room; a house's own `__init__` is its door, through which all rooms are reached."""
    return module.split(".")[0] in HOUSES and module not in HOUSES


def room_of(module: str) -> str:
    """The room a module belongs to: its package below the house, or the house."""
    parts = module.split(".")
    is_package = ROOT.joinpath(*parts[:2]).is_dir()
    return ".".join(parts[:2]) if len(parts) > 1 and is_package else parts[0]


def graph_of(some: Iterable[Room]) -> nx.DiGraph:
    """Rooms as nodes, imports as edges."""
    graph = nx.DiGraph()
    for room in some:
        graph.add_node(room.name)
        graph.add_edges_from((room.name, other) for other in room.imports)
    return graph


def circles(some: Iterable[Room]) -> list[list[str]]:
    """Rooms that import each other; there should be none."""
    return sorted(sorted(each) for each in nx.strongly_connected_components(graph_of(some)) if len(each) > 1)


def floors(some: Iterable[Room]) -> list[list[str]]:
    """Rooms by the longest way down: the first floor imports from no other room.

    Raises:
        networkx.NetworkXUnfeasible: rooms import each other.
    """
    upside_down = graph_of(some).reverse(copy=True)
    return [sorted(each) for each in nx.topological_generations(upside_down)]


def table(some: Iterable[Room]) -> str:
    """Rooms, top floor first, as Markdown."""
    some = tuple(some)
    by_name = {room.name: room for room in some}
    lines = ["| Floor | Room | Files | Imports from |", "|---|---|---|---|"]
    for number, names in reversed(list(enumerate(floors(some)))):
        for name in names:
            room = by_name[name]
            others = ", ".join(f"`{other}`" for other in room.imports) or "nothing of ours"
            lines.append(f"| {number} | `{name}` | {room.files} | {others} |")
    return "\n".join(lines)


def picture(some: Iterable[Room]) -> bytes:
    """The drawing as SVG, the same bytes for the same imports."""
    some = tuple(some)
    grid = floors(some)
    places = _places(grid)
    left, right = (edge(x for x, _ in places.values()) for edge in (min, max))
    left, right = left - WIDTH * 0.6, right + WIDTH * 0.6
    shown = nx.transitive_reduction(graph_of(some))
    style = {"svg.hashsalt": "filo-forge", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    with rc_context(style):
        figure = Figure(figsize=(0.62 * (right - left) + 0.6, 0.95 * len(grid) + 0.4))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(left, right)
        axes.set_ylim(-0.6, len(grid) - 0.4)
        for start, end in sorted(shown.edges):
            (x0, y0), (x1, y1) = places[start], places[end]
            ends = (x0, y0 - HEIGHT / 2), (x1, y1 + HEIGHT / 2)
            axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=8, color="#8a94a3", linewidth=0.8))
        for name, (x, y) in sorted(places.items()):
            house, _, room = name.partition(".")
            corner = (x - WIDTH / 2, y - HEIGHT / 2)
            box = FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.1")
            box.set(facecolor=COLOURS[house], edgecolor="#56606e", linewidth=0.8)
            axes.add_patch(box)
            axes.text(x, y + 0.1, room or "(loose files)", ha="center", va="center", color="#1d232b")
            axes.text(x, y - 0.15, house, ha="center", va="center", color="#56606e", fontsize=7)
        drawn = BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    return drawn.getvalue()


def _places(grid: list[list[str]]) -> dict[str, tuple[float, float]]:
    """Centre of every room: a column per house, the house's rooms of one floor side by side within it."""
    places, x = {}, 0.0
    for house in COLOURS:
        rows = [[name for name in names if name.split(".")[0] == house] for names in grid]
        widest = max(map(len, rows))
        for row, names in enumerate(rows):
            for column, name in enumerate(names):
                places[name] = (x + STEP * (column + (widest - len(names)) / 2), float(row))
        x += STEP * widest
    return places


def page(text: str) -> str:
    """The page with its table made anew."""
    made = f"{BEGIN}\n\n{table(rooms())}\n\n{END}"
    return re.sub(rf"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: made, text, flags=re.DOTALL)


def main() -> None:
    """Write both."""
    PICTURE.write_bytes(picture(rooms()))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
