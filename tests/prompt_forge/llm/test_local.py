"""The embedded model: its pieces, and real answers from it."""

import json
import shutil
import sys

import pytest

from descriptions.common.settings import load
from prompt_forge.errors import (
    LocalModelError,
)
from prompt_forge.generation.catalog import load_catalog
from prompt_forge.generation.strategies import Recipe, first_requests
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.local import (
    MODEL_BYTES,
    MODEL_NAME,
    MODEL_SHA256,
    check_file,
    check_runtime,
    model_file,
    start_server,
)
from prompt_forge.llm.open import create_model, resources
from prompt_forge.llm.settings import ModelSettings
from prompt_forge.llm.types import Message, Request, Sampling
from prompt_forge.templating.templates import Templates


def request(text="Defects?", **more):
    return Request(model="m", messages=(Message(role="user", content=text),), **more)


@pytest.mark.usefixtures("embedded")
def test_embedded_model_answers_a_json_schema_the_same_way_twice():
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 20}}, "required": ["a"]}
    texts, notes = [], []
    for _ in range(2):
        settings = load(ModelSettings, "model", {"cache": False})
        with resources(settings) as shared:
            model = create_model(settings, shared, notify=notes.append)
            answer = model.complete(
                request(json_schema=schema, sampling=Sampling(temperature=0.7, seed=3, max_tokens=64))
            )
        texts.append(answer.text)
        assert answer.mode == "json_schema"
    assert texts[0] == texts[1]
    assert "a" in json.loads(texts[0])
    assert len(notes) == 2


@pytest.mark.usefixtures("embedded")
def test_an_answer_does_not_depend_on_what_was_asked_before():
    recipe, known = Recipe(template=Templates.find().get("family-fewshot")), load_catalog()
    bottle, capsule = (first_requests(MODEL_NAME, recipe, known[name])[0] for name in ("bottle", "capsule"))
    settings = load(ModelSettings, "model", {"cache": False, "model": "local"})
    with resources(settings) as shared:
        model = create_model(settings, shared)
        first, _, again = (model.complete(request) for request in (bottle, capsule, bottle))
    assert (again.text, again.mean_logprob) == (first.text, first.mean_logprob)


def test_damaged_model_file_is_named(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"x")
    with pytest.raises(LocalModelError, match="setup"):
        check_file(tmp_path / "m.gguf")


def test_missing_model_file_says_what_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LocalModelError, match="prompt-forge setup"):
        model_file()


def test_what_is_only_a_shortcut_may_fail_to_be_written(tmp_path, embedded):
    (tmp_path / "file").write_text("")
    ladder = Ladder(tmp_path / "file" / "ladder")
    ladder.remember("e", "m", "text")
    assert ladder.rungs("e", "m") == ("text",)
    check_file(embedded, tmp_path / "file" / "stamp")


def test_missing_runtime_says_what_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LocalModelError, match=r"xllamacpp.*prompt-forge setup"):
        check_runtime()


def test_a_runtime_that_does_not_load_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(LocalModelError, match="libgomp1"):
        start_server(tmp_path, threads=1, context=256, token="t")


def test_a_server_that_does_not_start_says_so(tmp_path):
    pytest.importorskip("xllamacpp")
    (tmp_path / "m.gguf").write_bytes(b"GGUF no model")
    with pytest.raises(LocalModelError, match=r"does not start.*doctor"):
        start_server(tmp_path / "m.gguf", threads=1, context=256, token="t")


def test_a_model_file_of_the_right_size_and_wrong_content_is_named(tmp_path):
    with (tmp_path / "m.gguf").open("wb") as stream:
        stream.truncate(MODEL_BYTES)
    with pytest.raises(LocalModelError, match=f"sha256.*{MODEL_SHA256[:12]}"):
        check_file(tmp_path / "m.gguf", tmp_path / "stamp")
    assert not (tmp_path / "stamp").exists()


def test_a_passed_check_is_remembered_until_the_file_changes(tmp_path, embedded):
    copy = tmp_path / "m.gguf"
    shutil.copy(embedded, copy)
    check_file(copy, tmp_path / "stamp")
    mark = (tmp_path / "stamp").read_text()
    check_file(copy, tmp_path / "stamp")
    assert (tmp_path / "stamp").read_text() == mark
    copy.unlink()
    with copy.open("wb") as stream:
        stream.truncate(MODEL_BYTES)
    with pytest.raises(LocalModelError):
        check_file(copy, tmp_path / "stamp")
