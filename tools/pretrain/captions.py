"""The words of training: how each defect may be described, and what it may be found on."""

import random
from functools import lru_cache

from descriptions.store import PACKAGED, Store

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

FAMILY_KINDS = {
    "bubble or lump": "dent",
    "broken edge": "break",
    "burn or melting": "stain",
    "crack": "crack",
    "dent or bend": "dent",
    "dirt or foreign object": "contamination",
    "hole": "hole",
    "loose fibre": "contamination",
    "loose joint": "misplaced",
    "missing part": "break",
    "rough texture": "fray",
    "rust": "stain",
    "scratch": "scratch",
    "stain or colour": "stain",
    "tear": "cut",
    "wrong part": "misplaced",
    "wrong place": "misplaced",
}
"""Family of a description in the library to defect kind."""

UNREAD = frozenset({"magnetic_tile", "transistor"})
"""Categories whose descriptions are kept out of the captions: the development test is judged on them."""

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

GENERIC = ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage", "abnormal {}")
POSITIONS = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")


def kind_of(folder: str, subject: str) -> str:
    """The defect kind of a real image's defect folder."""
    return "circuit" if subject == "circuit board" else FOLDER_KINDS.get(folder, "crack")


@lru_cache(maxsize=1)
def flawless() -> tuple[str, ...]:
    """How good products look in the library, spelled out: `bottle with a smooth round rim`."""
    store = Store(PACKAGED)
    versions = [store.load(f"{category}@1") for category in sorted(set(store.categories()) - UNREAD)]
    return tuple(state.format(v.object_name) for v in versions for state in v.normal)


@lru_cache(maxsize=1)
def library() -> dict[str, tuple[tuple[str, str], ...]]:
    """Descriptions people wrote, from the library's first versions: kind to (object name, text) pairs."""
    store = Store(PACKAGED)
    found: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    for category in sorted(set(store.categories()) - UNREAD):
        version = store.load(f"{category}@1")
        for entry in version.anomalies:
            found[FAMILY_KINDS[entry.family]].append((version.object_name, entry.text))
    return {kind: tuple(pairs) for kind, pairs in found.items()}


def describe(rng: random.Random, kind: str, subject: str) -> str:
    """A caption of one defect, without a position: `abnormal tile with thin dark crack.`.

    Two of five come from the library, half of these with the product they were written for.
    """
    written = library()[kind]
    if written and rng.random() < 0.4:
        product, text = rng.choice(written)
        return f"abnormal {product if rng.random() < 0.5 else subject} with {text}."
    return f"abnormal {subject} with {rng.choice(KINDS[kind])}."
