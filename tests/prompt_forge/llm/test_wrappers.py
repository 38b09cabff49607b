"""Budget, rate, re-ask, recordings, configuration and the composition of them."""

from contextlib import closing, nullcontext

import pytest
from pydantic import SecretStr

from descriptions.common.errors import SettingsError
from descriptions.common.settings import load
from prompt_forge.errors import BudgetError, IncompleteError, RecordingError, RejectedAnswerError
from prompt_forge.llm.budget import Budget, Budgeted, Price, estimate
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.log import ExchangeLog, Logged
from prompt_forge.llm.open import create_model, ladder_file, resources
from prompt_forge.llm.openai_chat import OpenAIChat
from prompt_forge.llm.rate import RateLimit
from prompt_forge.llm.reask import ask
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.settings import ModelSettings
from prompt_forge.llm.types import Message, Request, Sampling
from prompt_forge.usage import Usage
from tests.support.servers import chat, error, serve

KEY = "sk-abcdefgh12345678"


def request(text="Defects?", **more):
    return Request(model="m", messages=(Message(role="user", content=text),), **more)


def test_a_copy_with_another_field_has_another_digest():
    first = request()
    assert first.digest != first.model_copy(update={"sample": 1}).digest


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
    with pytest.raises(RecordingError):
        Budgeted(Scripted([]), budget).complete(request(sampling=Sampling(max_tokens=1)))
    assert budget.calls == 1


@pytest.mark.parametrize("text", ["ok", ""])
def test_a_server_that_counts_no_tokens_spends_the_estimate(text):
    asked, budget = request(sampling=Sampling(max_tokens=1000)), Budget(max_tokens=2000)
    with serve(lambda _: chat(text, usage=None)) as server, closing(OpenAIChat(server.url, "m")) as model:
        with nullcontext() if text else pytest.raises(IncompleteError):
            Budgeted(model, budget).complete(asked)
        assert budget.spent == estimate(asked)
        with pytest.raises(BudgetError, match="1007 tokens are spent"):
            Budgeted(model, budget).complete(asked)
    assert len(server.requests) == 1


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


def test_script_ends():
    with pytest.raises(RecordingError):
        Scripted([]).complete(request())


def test_open_model_over_http_keeps_the_key_to_itself(tmp_path):
    settings = load(ModelSettings, "model", {"model": "m", "api_key": KEY, "log_file": tmp_path / "l"})
    replies = iter([chat("ok"), error(400, KEY)])
    with serve(lambda _: next(replies)) as server:
        settings = settings.model_copy(update={"base_url": server.url, "retries": 0})
        with resources(settings) as shared:
            model = create_model(settings, shared)
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
        create_model(settings, shared)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[modle]", r"unknown table \[modle\]; did you mean model"),
        ("[model]\nmodle = 'x'", "unknown key modle.*did you mean model"),
        ("model = 1", r"model is no table; expected \[model\]"),
        ("x", "cannot be read.*TOML"),
        (
            "[model]\ntimeout = -1",
            r"setting timeout = -1; expected greater than 0; set in \[model\] of filo-forge.toml",
        ),
        ("[model]\napi_key = ['sk-abcdefgh12345678']", "setting api_key; expected a valid string; set in"),
    ],
)
def test_wrong_configuration_is_named(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filo-forge.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load(ModelSettings, "model")


def test_a_wrong_setting_says_where_it_was_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filo-forge.toml").write_text("[model]\ntimeout = 5\n")
    monkeypatch.setenv("FILO_FORGE_TIMEOUT", "soon")
    with pytest.raises(SettingsError, match="timeout = 'soon'; expected a valid number; set in a variable"):
        load(ModelSettings, "model")
    with pytest.raises(SettingsError, match="timeout = 0; expected greater than 0; set in the command line"):
        load(ModelSettings, "model", {"timeout": 0})
    assert load(ModelSettings, "model", {"timeout": 7}).timeout == 7


def test_pydantic_reasons_name_the_field():
    accepted = ask(Scripted(['{"timeout": -1}', '{"timeout": 3}']), request(), ModelSettings.model_validate_json)
    assert accepted.value.timeout == 3
    assert accepted.usage.total == sum(completion.usage.total for completion in accepted.completions)
    with pytest.raises(RejectedAnswerError, match="timeout: Input should be greater") as caught:
        ask(Scripted(['{"timeout": -1}']), request(), ModelSettings.model_validate_json, tries=1)
    assert len(caught.value.problems) == 1


def test_open_model_replays_a_recording_and_passes_names_through(tmp_path):
    log = ExchangeLog(tmp_path / "tape.jsonl", Redactor())
    Logged(Scripted(["recorded"]), log).complete(request())
    settings = load(ModelSettings, "model", {"model": f"replay:{log.path}", "cache": False})
    with resources(settings) as shared:
        model = create_model(settings, shared)
        assert (model.endpoint, model.model) == ("replay:tape.jsonl", "m")
        assert model.complete(request()).text == "recorded"
    assert "recorded" in settings.log_file.read_text()


def test_refresh_also_tries_the_strictest_structure_again():
    with serve(lambda _: chat("{}")) as server:
        flags = {"model": "m", "base_url": server.url, "refresh": True}
        settings = load(ModelSettings, "model", flags)
        Ladder(ladder_file(settings)).remember(server.url, "m", "text")
        with resources(settings) as shared:
            asked = request(json_schema={"type": "object"})
            assert create_model(settings, shared).complete(asked).mode == "json_schema"
    assert Ladder(ladder_file(settings)).remembered(server.url, "m") == "json_schema"


def test_the_embedded_model_by_name_says_nothing():
    notes = []
    settings = load(ModelSettings, "model", {"model": "local"})
    with resources(settings) as shared:
        assert create_model(settings, shared, notify=notes.append).endpoint == "embedded"
    assert notes == []
    assert "my-secret" not in repr(Redactor([SecretStr("my-secret-key")]))
