"""Token counts against the tokenizers themselves."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from descriptions.common import tokens
from descriptions.common.errors import InvalidFileError

TEXTS = [
    "",
    "deep crack in the cap",
    "abnormal metal nut with scratch on the flat face at bottom right.",
    "it's the inspector's re-painted LED, 3.5mm wide!!",
    "a &amp; b  under_score 2024-11-24 antidisestablishmentarianism",
    "capsule capsules CAPSULE xyzzyqq ...",
]


@pytest.fixture(scope="module")
def tokenizer():
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


@pytest.mark.parametrize("text", TEXTS)
def test_clip_counts_are_those_of_open_clip(tokenizer, text: str) -> None:
    assert tokens.count_clip(text) == len(tokenizer.encode(text))


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80).filter(lambda text: "&" not in text))
def test_clip_counts_are_exact_for_any_ascii(text: str) -> None:
    from open_clip.tokenizer import SimpleTokenizer

    global _TOKENIZER
    _TOKENIZER = _TOKENIZER or SimpleTokenizer()
    if "<start_of_text>" not in text and "<end_of_text>" not in text:
        assert tokens.count_clip(text) == len(_TOKENIZER.encode(text))


_TOKENIZER = None


@pytest.mark.parametrize("word", ["crack", "capsules", "antidisestablishmentarianism", "7", "xyzzyqq", "é"])
def test_clip_ids_are_those_of_open_clip(tokenizer, word: str) -> None:
    assert list(tokens.clip_ids(word)) == tokenizer.encode(word)


def test_mini_was_taught_900_tokens_and_torch_is_not_needed_to_know() -> None:
    code = (
        "import sys; from descriptions.common.tokens import *; taught = readable_tokens(preset_weights('mini')); "
        "print(len(taught), unread_words('Deep crack in the casing, edged casing', taught), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "900 ['casing', 'edged'] False"


def test_which_tokens_a_checkpoint_knows(tmp_path: Path) -> None:
    def written(metadata: dict[str, str], **tensors: object) -> Path:
        path = tmp_path / "x.safetensors"
        save_file({name: np.array(values, np.int32) for name, values in tensors.items()}, path, metadata)
        return path

    assert tokens.readable_tokens(written({}, **{tokens.ROWS: [3, 7, 49408]})) == {3, 7}
    assert tokens.readable_tokens(written({}, weight=[1])) is None
    trained = {"contents": "trained", "config": {"backbone": "mini"}}
    taught = tokens.readable_tokens(written({"filo-forge": json.dumps(trained)}, weight=[1]))
    assert taught is not None
    assert len(taught) == 900
    trained["config"] = {"backbone": "ViT-L-14-336"}
    assert tokens.readable_tokens(written({"filo-forge": json.dumps(trained)}, weight=[1])) is None
    (tmp_path / "x.safetensors").write_text("no weights")
    with pytest.raises(InvalidFileError, match=r"x\.safetensors: .*; expected a \.safetensors file"):
        tokens.readable_tokens(tmp_path / "x.safetensors")


@pytest.mark.parametrize("text", TEXTS)
def test_the_estimate_is_never_short_for_words(text: str) -> None:
    assert tokens.estimate(text) >= tokens.count_clip(text) - text.count("_")
    assert tokens.count_bert(text) == tokens.estimate(text) + 2


def test_without_the_merge_table_the_estimate_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_table", lambda: None)
    assert tokens.count_clip("deep crack") == tokens.estimate("deep crack")


@pytest.mark.parametrize("spec", [None, "empty"])
def test_no_open_clip_means_no_table(monkeypatch: pytest.MonkeyPatch, tmp_path, spec) -> None:
    from importlib.machinery import ModuleSpec

    package = None
    if spec:
        package = ModuleSpec("open_clip", None, is_package=True)
        package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(tokens, "find_spec", lambda _: package)
    assert tokens._table.__wrapped__() is None


def test_counting_loads_no_torch() -> None:
    counted = "import sys; from descriptions.common.tokens import count_clip; count_clip('x')"
    code = f"{counted}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
