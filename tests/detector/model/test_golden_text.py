"""The text side of the released model: prompts, token ids, stock encoding."""

from pathlib import Path

import pytest
import torch

from detector.model.prompt_tree import pack
from detector.model.tokenizer import start_token
from detector.scoring.prompts import encode_text
from tests.support.golden import Golden, golden_set


@pytest.fixture
def vectors(golden: Path) -> Golden:
    return golden_set(golden)


def padded(ids: list[tuple[int, ...]], vectors: Golden) -> torch.Tensor:
    """Stock token rows: start, one placeholder a context token, the words, zeros."""
    placeholder = encode_text("X")[0]
    head = [start_token()] + [placeholder] * vectors.sizes["n_ctx"]
    rows = [[*head, *row] for row in ids]
    return torch.tensor([row + [0] * (vectors.sizes["context_length"] - len(row)) for row in rows], dtype=torch.int32)


def test_golden_token_ids(vectors):
    tensors = vectors.tensors("text")
    keys = {name.split(".")[-1] for name in tensors if name.startswith("tokens.normal.")}
    assert keys
    for name in vectors.manifest["dataset_class_names"]:
        prompts = vectors.prompts(name)
        key = prompts.object_name.replace(" ", "_")
        keys.discard(key)
        assert torch.equal(padded(list(prompts.normal), vectors), tensors[f"tokens.normal.{key}"])
        assert torch.equal(padded(list(prompts.at(())), vectors), tensors[f"tokens.abnormal.{key}"])
    assert not keys


@torch.no_grad()
def test_golden_plain_text_through_a_tree_without_context(vectors):
    rows = vectors.tensors("text")["tokens.plain"]
    ids = [tuple(row[1 : row.argmax() + 1].tolist()) for row in rows]
    (tree,) = pack(ids, start_token(), context=0)
    model = vectors.model
    empty = torch.empty(1, 0, vectors.sizes["text_width"])
    (features,) = model.text_tower([tree], empty)
    vectors.check("text", "text_encoder.plain", features)
