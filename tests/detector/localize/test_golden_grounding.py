"""The released acceptance rules against what the released code made of the same Grounding DINO outputs."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from detector.localize.dino.caption import GENERAL_WORDS, released_caption
from detector.localize.dino.released import released_grounding
from detector.localize.regions import REGIONS, released_region_at

SITUATIONS = (
    "two_match_one_not",
    "unmatched_is_kept_unscaled",
    "phrase_joins_scattered_tokens",
    "uppercase_detail_never_matches",
    "tie_on_truncated_score_last_wins",
    "area_filter",
    "none_passes_threshold",
    "only_large_boxes_pass_threshold_fallback_uses_it",
    "center_in_integer_gap",
    "center_past_517",
    "cls_token_excluded",
    "box_over_left_top_border",
)


@cache
def load(golden: Path):
    return json.loads((golden / "manifest.json").read_text()), load_file(golden / "grounding.safetensors")


@pytest.fixture
def tokenizer(golden: Path):
    from transformers import BertTokenizer

    return BertTokenizer(str(golden / "bert_tiny/vocab.txt"), do_lower_case=True)


def test_every_situation_is_listed(golden: Path):
    assert set(load(golden)[0]["grounding"]) == set(SITUATIONS)


@pytest.mark.parametrize("name", SITUATIONS)
def test_situation(golden: Path, tokenizer, name: str):
    manifest, tensors = load(golden)
    expected = manifest["grounding"][name]
    (details,) = manifest["grounding_details"].values()
    ids = tokenizer(expected["caption"])["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == manifest["grounding_caption_pieces"]
    got = released_grounding(
        tensors[f"{name}.pred_logits"][0],
        tensors[f"{name}.pred_boxes"][0],
        lambda positions: tokenizer.decode([ids[i] for i in positions]),
        details,
    )
    phrases = [f"{box.phrase}({box.score})" + ("" if box.matched else "#$%") for box in got.boxes]
    assert phrases == expected["phrases"]
    torch.testing.assert_close(
        torch.stack([box.rectangle for box in got.boxes]), tensors[f"{name}.boxes_out"], rtol=0, atol=1e-5
    )
    assert [got.region] * bool(got.region) == expected["position"]
    assert got.center == pytest.approx(expected["center"], abs=1e-4)
    matched = [float(box.score) for box in got.boxes if box.matched]
    assert max(matched, default=0.0) == expected["max_pred"]
    typed = got.localisation()
    assert [box.score for box in typed.boxes] == sorted(matched, reverse=True)
    if typed.boxes:
        back = torch.tensor([[v * 518 for v in box[:4]] for box in typed.boxes], dtype=torch.float32)
        pixels = {tuple(box.rectangle.tolist()) for box in got.boxes if box.matched}
        assert {tuple(row) for row in back.tolist()} == pixels


def test_caption(golden: Path):
    manifest, _ = load(golden)
    (details,) = manifest["grounding_details"].values()
    assert tuple(manifest["grounding_general_words"]) == GENERAL_WORDS
    assert released_caption(details) == manifest["grounding"]["area_filter"]["caption"]


def test_location_table(golden: Path):
    manifest, _ = load(golden)
    assert tuple(manifest["positions"]) == REGIONS
    for point, region in manifest["position_probe"].items():
        x, y = map(float, point.split(","))
        assert released_region_at(x, y) == region, point
