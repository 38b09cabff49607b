"""What the defects of the real sets are called, written from the sets' folder names and no more.

`WORDS`: product to its name and, by defect folder, phrases that training may use; the first is what naming is measured
with. `SYNONYMS`: by defect folder, phrases around words that no training phrase holds (`phrases.UNTAUGHT`).
"""

from typing import NamedTuple


class Product(NamedTuple):
    """Words of one product."""

    name: str
    kinds: dict[str, tuple[str, ...]]


WORDS = {
    "transistor": Product(
        "transistor",
        {
            "bent_lead": ("bent lead", "lead bent sideways", "twisted metal leg", "crooked pin"),
            "cut_lead": ("cut lead", "lead cut off short", "clipped metal leg", "missing end of a pin"),
            "damaged_case": ("damaged case", "broken black case", "scratched plastic housing", "cracked case"),
            "misplaced": ("misplaced component", "component missing from its place", "component rotated and shifted"),
        },
    ),
    "magnetic_tile": Product(
        "magnetic tile",
        {
            "blowhole": ("blowhole", "small round hole", "dark gas pore", "tiny dark pit"),
            "break": ("break", "broken edge", "piece broken off", "chipped corner"),
            "crack": ("crack", "thin dark crack", "long fine crack line"),
            "fray": ("fray", "frayed surface", "rough worn area", "ragged edge"),
            "uneven": ("uneven surface", "uneven brightness", "uneven grinding", "cloudy shading"),
        },
    ),
    "steel": Product(
        "steel strip",
        {
            "inclusion": ("inclusion", "dark elongated inclusion", "thin dark streaks", "foreign material rolled in"),
            "patches": ("patches", "large irregular patches", "blotchy scale patches", "broad dark blotch"),
            "scratches": ("scratches", "long bright scratches", "thin straight scratch lines", "bright scratch"),
        },
    ),
    "leather": Product(
        "leather",
        {
            "cut": ("cut", "clean cut through the leather", "open cut", "sliced surface"),
            "hole": ("hole", "small round hole", "dark hole punched through", "puncture"),
            "line": ("line", "thin line on the surface", "long straight line mark", "scratched line"),
            "wrinkle": ("wrinkle", "wrinkled area", "fold in the leather", "creases"),
        },
    ),
    "road": Product("asphalt road", {"crack": ("crack", "long branching crack", "thin dark crack", "cracked asphalt")}),
    "pcb": Product(
        "circuit board",
        {"mixed": ("broken trace", "open circuit", "short circuit", "missing copper", "extra copper", "pinhole")},
    ),
    "metal_plate": Product(
        "metal plate",
        {"defect": ("rust and scratches", "brown rust", "rusty area", "large corroded patch", "scratched metal")},
    ),
    "juice_bottle": Product(
        "juice bottle",
        {
            "logical_anomalies": (
                "wrong label or fill level",
                "missing label",
                "label in the wrong place",
                "wrong fruit on the label",
                "empty bottle",
                "too little juice",
            )
        },
    ),
    "optical_lens": Product(
        "optical lens",
        {"defect": ("scratch or dust", "faint scratch", "dust speck", "small chip", "bright dust particle")},
    ),
    "glass_panel": Product(
        "glass panel",
        {
            "edge": ("broken edge", "chipped edge", "ragged edge", "shell-shaped chip on the edge"),
            "angle": ("broken corner", "chipped corner", "missing corner", "damaged corner"),
        },
    ),
    "texture": Product("textured surface", {}),
}

SYNONYMS = {
    "magnetic_tile": {
        "blowhole": ("round cavity", "small crater"),
        "break": ("nick in the rim", "ruptured rim"),
        "crack": ("fissure", "fine dark fissure"),
        "fray": ("shredded, tattered border", "scraggy surface"),
        "uneven": ("smudged, mottled tone", "murky lightness"),
    },
    "transistor": {
        "bent_lead": ("kinked prong", "skewed prong"),
        "cut_lead": ("severed prong", "truncated prong"),
        "damaged_case": ("gouge in the enclosure", "ruptured enclosure"),
        "misplaced": ("dislodged part", "mislaid part"),
    },
    "steel": {
        "inclusion": ("embedded sliver", "slender dark impurity"),
        "patches": ("smears", "mottled smudges"),
        "scratches": ("gouges", "long gleaming gouges"),
    },
    "leather": {
        "cut": ("slit", "gash"),
        "hole": ("round cavity", "perforation"),
        "line": ("stripe", "thin stria"),
        "wrinkle": ("pucker", "rumpled area"),
    },
    "glass_panel": {
        "edge": ("nicks along the border", "splintered rim"),
        "angle": ("nicked vertex", "splintered vertex"),
    },
}
"""Words of these phrases that carry the meaning stand nowhere in `WORDS`."""
