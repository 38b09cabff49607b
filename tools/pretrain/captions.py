"""The words of training: how each defect may be described, and what it may be found on."""

import random

KINDS: dict[str, tuple[str, ...]] = {
    "scratch": (
        "scratch",
        "thin scratch",
        "long bright scratches",
        "fine line scratched into the surface",
        "scuff",
        "scrape marks",
        "straight score mark",
    ),
    "crack": (
        "crack",
        "thin dark crack",
        "branching crack",
        "hairline fracture",
        "cracked surface",
        "irregular dark line",
        "fissure",
    ),
    "hole": (
        "hole",
        "small dark hole",
        "blowhole",
        "pinhole",
        "round dark pit",
        "pitting",
        "pore",
        "puncture",
        "bubble",
        "cavity",
    ),
    "stain": (
        "stain",
        "discolored patch",
        "dark stain",
        "discoloration",
        "oil spot",
        "water mark",
        "faded area",
        "burn mark",
        "rust",
    ),
    "contamination": (
        "contamination",
        "foreign particle",
        "dust and dirt",
        "foreign object on the surface",
        "debris",
        "speck",
        "fiber",
    ),
    "dent": ("dent", "shallow dent", "bump", "bulge", "pressed-in mark", "deformed area", "swelling"),
    "break": (
        "break",
        "chipped edge",
        "broken-off corner",
        "missing piece",
        "broken part",
        "missing part",
        "chip",
        "cut off",
    ),
    "fray": (
        "frayed edge",
        "worn surface",
        "rough worn area",
        "peeling coating",
        "flaking",
        "abrasion",
        "fray",
        "rubbed off coating",
    ),
    "uneven": (
        "uneven surface",
        "uneven brightness",
        "irregular shading",
        "uneven grinding",
        "cloudy area",
        "wavy surface",
        "blotch",
    ),
    "misplaced": (
        "misplaced part",
        "bent lead",
        "shifted part",
        "wrong shape",
        "misaligned part",
        "distorted pattern",
        "bent wire",
        "twisted",
    ),
    "wrinkle": ("wrinkle", "fold", "crease", "folded surface"),
    "cut": ("cut", "clean cut", "slit", "torn surface", "tear"),
    "inclusion": ("inclusion", "dark elongated inclusion", "embedded impurity", "foreign material in the surface"),
    "patches": ("patches", "bright patch", "scale patch", "irregular spot on the surface"),
    "circuit": (
        "open circuit",
        "short circuit",
        "missing copper",
        "extra copper",
        "spur on a trace",
        "mouse bite",
        "damaged trace",
    ),
}
"""Defect kind to its paraphrases."""

FOLDER_KINDS = {
    "inclusion": "inclusion",
    "patches": "patches",
    "scratches": "scratch",
    "cut": "cut",
    "hole": "hole",
    "line": "scratch",
    "wrinkle": "wrinkle",
    "crack": "crack",
}
"""Defect folder of a real data set to defect kind; anything of a circuit board is `circuit`."""

SUBJECTS = (
    "surface",
    "metal plate",
    "tile",
    "magnetic tile",
    "ceramic tile",
    "fabric",
    "carpet",
    "wood",
    "plastic part",
    "component",
    "transistor",
    "capsule",
    "pill",
    "bottle",
    "cable",
    "hazelnut",
    "leather",
    "metal nut",
    "screw",
    "toothbrush",
    "zipper",
    "grid",
    "candle",
    "cashew",
    "circuit board",
    "pipe",
    "glass",
    "texture",
)
"""Object names put on painted images, so that a caption's meaning does not hang on the name."""

NORMAL = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
)
GENERIC = ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage", "abnormal {}")
POSITIONS = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")


def kind_of(folder: str, subject: str) -> str:
    """The defect kind of a real image's defect folder."""
    return "circuit" if subject == "circuit board" else FOLDER_KINDS.get(folder, "crack")


def describe(rng: random.Random, kind: str, subject: str) -> str:
    """A caption of one defect, without a position: `abnormal tile with thin dark crack.`."""
    return f"abnormal {subject} with {rng.choice(KINDS[kind])}."
