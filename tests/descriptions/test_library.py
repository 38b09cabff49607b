"""The library that travels with the package: every file loads, fits the encoders and gives no label away."""

import re
from functools import cache
from itertools import chain

import pytest

from descriptions.common.refs import Ref, slug
from descriptions.common.tokens import BERT_LENGTH, CLIP_LENGTH, count_bert, count_clip
from descriptions.format.schema import DescriptionFile
from descriptions.format.yaml_io import dump_description
from descriptions.lint import CONTEXT_TOKENS, LONGEST_POSITION, Context, lint, words
from descriptions.store import PACKAGED, Store
from prompt_forge.generation.catalog import load_catalog
from prompt_forge.llm.local import MODEL_NAME

LIBRARY = Store(PACKAGED, read_only=True)
CATALOG = load_catalog()
FILES = [Ref(category, version) for category in LIBRARY.categories() for version in LIBRARY.versions(category)]
FIRST = [ref for ref in FILES if ref.version == 1]
DRAFTS = [ref for ref in FILES if ref.version == 2]

MVTEC = [
    "bottle",
    "cable",
    "capsule",
    "carpet",
    "grid",
    "hazelnut",
    "leather",
    "metal_nut",
    "pill",
    "screw",
    "tile",
    "toothbrush",
    "transistor",
    "wood",
    "zipper",
]
VISA = [
    "candle",
    "capsules",
    "cashew",
    "chewinggum",
    "fryum",
    "macaroni1",
    "macaroni2",
    "pcb1",
    "pcb2",
    "pcb3",
    "pcb4",
    "pipe_fryum",
]
OTHERS = [
    "ball_screw",
    "battery_cell",
    "bearing",
    "bottle_cap",
    "casting",
    "ceramic_tile",
    "commutator",
    "fabric",
    "gear",
    "magnetic_tile",
    "pcb",
    "printed_label",
    "rail",
    "road",
    "solar_cell",
    "steel",
    "tablet_blister",
    "weld",
]

DEFECTS = {
    "MVTec AD": "bent bent_lead bent_wire broken broken_large broken_small broken_teeth cable_swap color combined "
    "contamination crack cut cut_inner_insulation cut_lead cut_outer_insulation damaged_case defective fabric_border "
    "fabric_interior faulty_imprint flip fold glue glue_strip gray_stroke hole liquid manipulated_front "
    "metal_contamination misplaced missing_cable missing_wire oil pill_type poke poke_insulation print rough scratch "
    "scratch_head scratch_neck split_teeth squeeze squeezed_teeth thread thread_side thread_top",
    "VisA": "anomaly bad bent breakage_down_the_middle bubble burnt chip_around_edge_and_corner chunk_of_gum_missing "
    "chunk_of_wax_missing color_spot_similar_to_the_object corner_missing corner_or_edge_breakage damage "
    "damaged_corner_of_packaging different_colour_spot dirt discolor extra extra_wax_in_candle "
    "foreign_particals_on_candle fryum_stuck_together leak melt middle_breakage misshape missing other "
    "same_colour_spot scratch scratches similar_colour_spot small_chip_around_edge small_cracks small_holes "
    "small_scratches stuck_together wax_melded_out_of_the_candle weird_candle_wick wrong_place",
    "magnetic tile": "blowhole break crack fray uneven",
    "NEU-DET": "crazing inclusion patches pitted_surface rolled-in_scale scratches",
    "DeepPCB": "copper mixed mousebite open pin-hole short spur",
    "CrackForest": "crack",
    "leather": "cut hole line wrinkle",
}
"""Names of defect folders, as each data set spells them; for VisA also the labels of its annotations."""


def stems(text: str) -> frozenset[str]:
    """Content words, singular: the wording without its order and its plurals."""
    return frozenset(word.removesuffix("s") for word in words(re.sub(r"[_-]", " ", text)))


LEAKS = {stems(name): f"{dataset}/{name}" for dataset, names in DEFECTS.items() for name in names.split()}


@cache
def load(ref: Ref) -> DescriptionFile:
    return LIBRARY.load(ref)


def identified(ref: Ref) -> str:
    return f"{ref.category}-v{ref.version}"


@pytest.fixture(params=FILES, ids=identified)
def packaged(request: pytest.FixtureRequest) -> DescriptionFile:
    return load(request.param)


@pytest.fixture(params=FIRST, ids=identified)
def curated(request: pytest.FixtureRequest) -> DescriptionFile:
    return load(request.param)


@pytest.fixture(params=DRAFTS, ids=identified)
def draft(request: pytest.FixtureRequest) -> DescriptionFile:
    return load(request.param)


@pytest.mark.parametrize("category", LIBRARY.categories())
def test_a_bare_name_means_the_reviewed_version_not_the_draft(category: str) -> None:
    assert LIBRARY.versions(category) == [1, 2]
    assert LIBRARY.labels(category) == {"latest": 2, "reviewed": 1, "default": 1}
    assert LIBRARY.resolve(category) == Ref(category, 1)
    assert LIBRARY.load(category).status == "reviewed"


def test_every_promised_product_is_there() -> None:
    missing = {*MVTEC, *VISA, *OTHERS} - {ref.category for ref in FIRST}
    assert not missing


@pytest.mark.parametrize("category", LIBRARY.categories())
def test_versions_of_a_product_differ(category: str) -> None:
    hashes = [load(ref).content_hash for ref in FILES if ref.category == category]
    assert len(set(hashes)) == len(hashes)


def test_a_packaged_file_is_written_as_the_store_writes_it(packaged: DescriptionFile) -> None:
    path = LIBRARY.path(packaged.category, packaged.version)
    assert dump_description(packaged) == path.read_text(encoding="utf-8")


def test_no_packaged_text_is_an_error(packaged: DescriptionFile) -> None:
    assert [finding for finding in lint(packaged) if finding.level == "error"] == []


def test_every_text_fits_clip(packaged: DescriptionFile) -> None:
    for text in packaged.enabled_texts:
        prompt = f"abnormal {packaged.object_name} with {text} at {LONGEST_POSITION}."
        assert count_clip(prompt) + CONTEXT_TOKENS + 2 <= CLIP_LENGTH, text


def test_all_texts_together_fit_grounding_dino(packaged: DescriptionFile) -> None:
    assert count_bert(" . ".join(packaged.enabled_texts) + " .") <= BERT_LENGTH


def test_texts_are_unique(packaged: DescriptionFile) -> None:
    texts = [slug(entry.text) for entry in packaged.anomalies]
    assert len(set(texts)) == len(texts)


def test_a_packaged_file_is_lint_clean_and_leaks_no_label(packaged: DescriptionFile) -> None:
    names = chain.from_iterable(listed.split() for listed in DEFECTS.values())
    assert lint(packaged, Context(leaks=tuple(names))) == []


def test_a_draft_was_made_from_the_first_version_by_the_embedded_model(draft: DescriptionFile) -> None:
    first, origin = load(Ref(draft.category, 1)), draft.provenance
    assert (draft.status, draft.parent, draft.object_name) == ("draft", 1, first.object_name)
    assert (draft.normal, draft.abnormal) == (first.normal, first.abnormal), "only the phrases are to be compared"
    assert {entry.source for entry in draft.anomalies} == {"llm"}
    assert 6 <= len(draft.enabled_texts) <= 12
    assert origin is not None
    assert (origin.endpoint, origin.model, origin.template) == ("embedded", MODEL_NAME, "family-fewshot")
    assert (origin.parameters.seed, origin.parameters.temperature, origin.parameters.count) == (0, 0.0, 12)
    assert origin.requests
    assert origin.usage.completion_tokens > 0
    assert re.search(r"/(home|root|tmp|work)|https?:", LIBRARY.path(draft.category, 2).read_text()) is None


def test_a_draft_says_something_else_than_the_first_version(draft: DescriptionFile) -> None:
    first = load(Ref(draft.category, 1))
    assert draft.content_hash != first.content_hash
    shared = set(draft.enabled_texts) & set(first.enabled_texts)
    assert len(shared) <= 2, shared


def test_a_draft_speaks_of_its_own_product(draft: DescriptionFile) -> None:
    """The catalog keeps a small model from what cannot be: no rust on a carpet, no crack in cloth."""
    product = CATALOG[draft.category]
    assert {entry.family for entry in draft.anomalies} <= set(product.families)
    assert {entry.part for entry in draft.anomalies if entry.part} <= set(product.parts)
    for entry in draft.anomalies:
        if entry.part:
            assert entry.part in product.targets(entry.family), entry.text


def test_a_curated_file_is_reviewed_and_by_people(curated: DescriptionFile) -> None:
    assert (curated.status, curated.provenance, curated.parent) == ("reviewed", None, None)
    assert {entry.source for entry in curated.anomalies} == {"human"}
    assert LIBRARY.labels(curated.category)["reviewed"] >= 1


def test_a_curated_file_names_families_and_its_own_parts(curated: DescriptionFile) -> None:
    assert 6 <= len(curated.enabled_texts) <= 12
    assert all(entry.family for entry in curated.anomalies)
    assert {entry.part for entry in curated.anomalies} <= set(curated.parts)
    assert len({entry.part for entry in curated.anomalies}) > 1


def test_a_curated_text_is_more_than_the_name_of_a_defect(curated: DescriptionFile) -> None:
    """Stricter than the lint rule: neither the plural nor another order of a folder name passes, in any product."""
    leaked = {text: LEAKS[stems(text)] for text in curated.enabled_texts if stems(text) in LEAKS}
    assert not leaked
    assert min(len(words(text)) for text in curated.enabled_texts) >= 2


@pytest.mark.parametrize("text", ["crack", "Scratches", "lead bent", "missing wires", "the hole"])
def test_the_table_of_names_catches_rewordings(text: str) -> None:
    assert stems(text.lower()) in LEAKS
