"""Cache, log, budget, rate, re-ask, recordings and the composition of them."""

import json

import pytest
from pydantic import SecretStr

from prompt_forge.config import load
from prompt_forge.errors import (
    BudgetError,
    IncompleteError,
    LocalModelError,
    OfflineError,
    RecordingError,
    RejectedAnswerError,
    SettingsError,
)
from prompt_forge.llm.budget import Budget, Budgeted, Price
from prompt_forge.llm.cache import AnswerCache, Cached
from prompt_forge.llm.local import check_file, model_file
from prompt_forge.llm.log import ExchangeLog, Logged, read_log
from prompt_forge.llm.open import open_model, resources
from prompt_forge.llm.rate import RateLimit
from prompt_forge.llm.reask import ask
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.replay import Replay
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.settings import ModelSettings
from prompt_forge.llm.types import Message, Request, Sampling, Usage
from tests.support.servers import chat, error, serve

KEY = "sk-abcdefgh12345678"


def request(text="Defects?", **more):
    return Request(model="m", messages=(Message(role="user", content=text),), **more)


@pytest.fixture
def cache(tmp_path):
    store = AnswerCache(tmp_path / "answers")
    yield store
    store.close()


def test_a_copy_with_another_field_has_another_digest():
    first = request()
    assert first.digest != first.model_copy(update={"sample": 1}).digest


def test_cache_answers_once_asked_and_never_holds_errors(cache):
    model = Scripted([IncompleteError("cut"), "a", "b"])
    with pytest.raises(IncompleteError):
        Cached(model, cache).complete(request())
    assert len(cache) == 0
    assert [Cached(model, cache).complete(request()).cached for _ in range(2)] == [False, True]
    assert Cached(model, cache, refresh=True).complete(request()).text == "b"
    with pytest.raises(OfflineError, match="without --offline"):
        Cached(model, cache, offline=True).complete(request(sample=1))


def test_budget_stops_before_the_call():
    budget = Budget(max_tokens=40)
    model = Scripted(["one two"] * 9)
    small = request(sampling=Sampling(max_tokens=30))
    Budgeted(model, budget).complete(small)
    assert budget.spent == Usage(prompt_tokens=1, completion_tokens=2)
    with pytest.raises(BudgetError, match="max-tokens-total"):
        Budgeted(model, budget).complete(request(sampling=Sampling(max_tokens=39)))
    with pytest.raises(BudgetError, match="max-cost"):
        Budget(max_cost=1e-9, price=Price(1, 1)).reserve(Usage(prompt_tokens=9))
    with pytest.raises(IncompleteError):
        Budgeted(Scripted([IncompleteError("cut", usage=Usage(prompt_tokens=4))]), budget).complete(small)
    assert budget.spent.prompt_tokens == 5


def test_rate_spaces_calls():
    waits = []
    pause = RateLimit(60, clock=lambda: 0.0, sleep=waits.append)
    for _ in range(3):
        pause()
    assert waits == [1.0, 2.0]


def test_reask_gives_reasons_and_ends():
    model = Scripted(["x", "5"])
    accepted = ask(model, request(), int)
    assert accepted.value == 5
    assert "not accepted" in model.requests[1].messages[-1].content
    with pytest.raises(RejectedAnswerError, match="2 times"):
        ask(Scripted(["x", "y"]), request(), int, tries=2)


def test_log_is_a_recording_and_holds_no_key(tmp_path):
    log = ExchangeLog(tmp_path / "log.jsonl", Redactor([SecretStr("my-own-secret")]))
    asked = request(f"my-own-secret {KEY}")
    with pytest.raises(IncompleteError):
        Logged(Scripted([IncompleteError("cut")]), log).complete(asked)
    Logged(Scripted(["answer"]), log).complete(asked)
    text = log.path.read_text()
    assert KEY not in text
    assert "my-own-secret" not in text
    assert Replay(log.path).complete(asked).text == "answer"
    with pytest.raises(RecordingError):
        Replay(log.path).complete(request("other"))
    log.path.write_text("{half")
    assert read_log(log.path).damaged == 1
    with pytest.raises(RecordingError):
        Replay(log.path)
    with pytest.raises(SettingsError):
        ExchangeLog(log.path / "x", Redactor()).append({})


def test_script_ends():
    with pytest.raises(RecordingError):
        Scripted([]).complete(request())


def test_open_model_over_http_keeps_the_key_to_itself(tmp_path):
    settings = load(ModelSettings, "model", {"model": "m", "api_key": KEY, "log_file": tmp_path / "l"})
    replies = iter([chat("ok"), error(400, KEY)])
    with serve(lambda body: next(replies)) as server:
        settings = settings.model_copy(update={"base_url": server.url, "retries": 0})
        with resources(settings) as shared:
            model = open_model(settings, shared)
            assert [model.complete(request()).cached for _ in range(2)] == [False, True]
            with pytest.raises(Exception, match="400") as caught:
                model.complete(request(sample=1))
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in kept
    assert KEY not in repr(settings) + settings.model_dump_json() + repr(caught.value)


@pytest.mark.parametrize(
    "flags", [{"offline": True, "refresh": True}, {"max_cost": 1.0}, {"model": None, "base_url": "http://127.0.0.1:1"}]
)
def test_settings_that_contradict(flags):
    settings = load(ModelSettings, "model", flags)
    with pytest.raises(SettingsError), resources(settings) as shared:
        open_model(settings, shared)


@pytest.mark.parametrize("text", ["[modle]", "[model]\nmodle = 'x'", "model = 1", "x", "[model]\ntimeout = -1"])
def test_wrong_configuration_is_named(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filo-forge.toml").write_text(text)
    with pytest.raises(SettingsError):
        load(ModelSettings, "model")


def test_embedded_model_answers_a_json_schema_the_same_way_twice(tmp_path):
    pytest.importorskip("xllamacpp")
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 20}}, "required": ["a"]}
    texts, notes = [], []
    for _ in range(2):
        settings = load(ModelSettings, "model", {"cache": False})
        with resources(settings) as shared:
            model = open_model(settings, shared, notify=notes.append)
            answer = model.complete(
                request(json_schema=schema, sampling=Sampling(temperature=0.7, seed=3, max_tokens=64))
            )
        texts.append(answer.text)
        assert answer.mode == "json_schema"
    assert texts[0] == texts[1]
    assert "a" in json.loads(texts[0])
    assert len(notes) == 2


def test_damaged_model_file_is_named(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"x")
    with pytest.raises(LocalModelError, match="setup"):
        check_file(tmp_path / "m.gguf")


def test_missing_model_file_says_what_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LocalModelError, match="prompt-forge setup"):
        model_file()
