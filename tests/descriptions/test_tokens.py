"""Token counts against the tokenizers themselves."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptions import tokens

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

    found = None
    if spec:
        found = ModuleSpec("open_clip", None, is_package=True)
        found.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(tokens, "find_spec", lambda name: found)
    assert tokens._table.__wrapped__() is None


def test_counting_loads_no_torch() -> None:
    code = "import sys; from descriptions.tokens import count_clip; count_clip('x'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
