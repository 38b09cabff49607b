"""From words to token ids, and from token ids to trees."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptions.format.schema import NORMAL_STATES, Anomaly, DescriptionFile
from detector.localize.regions import REGIONS
from detector.model.prompt_tree import pack
from detector.model.tokenizer import clip_tokenizer
from detector.scoring.prompts import PromptTooLongError, create_prompts, encode_text

token_ids = st.lists(st.integers(1, 5), min_size=1, max_size=8).map(tuple)


def described(*texts: str, **changes) -> DescriptionFile:
    anomalies = [Anomaly(id=f"a{number}", text=text) for number, text in enumerate(texts)]
    return DescriptionFile(category="metal_nut", object_name="metal nut", anomalies=anomalies, **changes)


def spoken(ids: tuple[int, ...]) -> str:
    return clip_tokenizer().decode(ids[:-1]).strip()


def test_prompts_of_a_description_file():
    prompts = create_prompts(described("deep scratch", "bent rim", abnormal=("broken {}",)))
    assert [spoken(ids) for ids in prompts.normal][:2] == ["metal nut .", "flawless metal nut ."]
    assert len(prompts.normal) == len(NORMAL_STATES)
    assert spoken(prompts.abnormal[0][0]) == "abnormal metal nut with deep scratch at top left ."
    assert spoken(prompts.abnormal[2][8]) == "broken metal nut at bottom right ."
    assert [entry.text for entry in prompts.anomalies] == ["deep scratch", "bent rim"]
    assert [len(row) for row in prompts.abnormal] == [len(REGIONS)] * 3


def test_disabled_entries_are_not_read():
    file = described("deep scratch").model_copy(
        update={"anomalies": (Anomaly(id="off", text="dull", enabled=False), Anomaly(id="on", text="bent"))}
    )
    assert [entry.id for entry in create_prompts(file).anomalies] == ["on"]


def test_selected_regions_go_state_by_state():
    prompts = create_prompts(described("bent"))
    assert prompts.at((4,)) == tuple(row[4] for row in prompts.abnormal)
    assert prompts.at(()) == tuple(ids for row in prompts.abnormal for ids in row)
    assert prompts.at((8, 0))[:2] == (prompts.abnormal[0][8], prompts.abnormal[0][0])


def test_prompts_longer_than_clip_reads_are_refused():
    assert len(encode_text("rust " * 62)) == 63
    with pytest.raises(PromptTooLongError, match="expected at most 77") as caught:
        create_prompts(described("rust " * 39 + "rust"), context_tokens=70)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.lists(token_ids, max_size=12), st.integers(0, 3), st.integers(4, 20))
def test_trees_hold_every_prompt_once_and_within_the_limit(prompts, context, limit):
    trees = pack(prompts, start=9, context=context, limit=limit)
    read = [path for tree in trees for path in _paths(tree, context)]
    assert read == list(prompts)
    for tree in trees:
        assert len(tree.ends) <= 1 or len(tree.tokens) <= limit
        assert torch.equal(tree.depth + 1, tree.visible.sum(1))
        prefixes = {ids[:length] for ids in _paths(tree, context) for length in range(1, len(ids) + 1)}
        assert len(tree.tokens) == 1 + context + len(prefixes)


def _paths(tree, context: int) -> list[tuple[int, ...]]:
    """The prompts read back from the tree: ancestors of an end are its prefix, parents first."""
    return [tuple(tree.tokens[tree.visible[end]][1 + context :].tolist()) for end in tree.ends]
