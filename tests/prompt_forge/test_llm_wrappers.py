"""Cache, log, budget, rate, re-ask, recordings and the composition of them."""

import json
import multiprocessing
import random
import shutil
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from pydantic import SecretStr

from prompt_forge.config import load
from prompt_forge.errors import (
    BudgetError,
    CacheError,
    IncompleteError,
    LocalModelError,
    OfflineError,
    RecordingError,
    RejectedAnswerError,
    SettingsError,
)
from prompt_forge.llm.budget import Budget, Budgeted, Price
from prompt_forge.llm.cache import AnswerCache, Cached
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.local import MODEL_BYTES, MODEL_SHA256, check_file, check_runtime, model_file, start_server
from prompt_forge.llm.log import ExchangeLog, Logged, older, read_log
from prompt_forge.llm.open import ladder_file, open_model, resources
from prompt_forge.llm.rate import RateLimit
from prompt_forge.llm.reask import ask
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.replay import Replay
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.settings import ModelSettings
from prompt_forge.llm.types import Message, Request, Sampling, Usage
from tests.support import writers
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
    with pytest.raises(RecordingError):
        Budgeted(Scripted([]), budget).complete(request(sampling=Sampling(max_tokens=1)))
    assert budget.calls == 1


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[modle]", r"unknown table \[modle\]; did you mean model"),
        ("[model]\nmodle = 'x'", "unknown key modle.*did you mean model"),
        ("model = 1", r"model is no table; expected \[model\]"),
        ("x", "cannot be read.*TOML"),
        ("[model]\ntimeout = -1", "setting timeout"),
    ],
)
def test_wrong_configuration_is_named(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filo-forge.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load(ModelSettings, "model")


def test_embedded_model_answers_a_json_schema_the_same_way_twice(embedded):
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


def _overwrite(folder):
    for path in folder.glob("cache.db*"):
        path.write_bytes(b"no database, " * 1000)


def _replace(folder):
    shutil.rmtree(folder)
    folder.write_text("a file where the folder was")


@pytest.mark.parametrize("damage", [_overwrite, _replace])
def test_a_cache_that_breaks_during_the_run_costs_one_warning(tmp_path, damage):
    notes = []
    with closing(AnswerCache(tmp_path / "answers")) as cache:
        noise = random.Random(0).randbytes(60_000).hex()  # answers that stay long are files beside the database
        texts = [letter + noise for letter in "abc"]
        models = [Cached(Scripted(texts), cache, notify=notes.append) for _ in range(2)]
        models[0].complete(request(sample=9))
        damage(tmp_path / "answers")
        answers = [model.complete(request(sample=n)).text for model in models for n in (1, 2)]
        assert "".join(answer[0] for answer in answers) == "bcab"
        assert cache.given_up
        with pytest.raises(CacheError, match="--no-cache"):
            cache.put("scripted", request(), Scripted(texts).complete(request()))
    assert len(notes) == 1
    assert "going on without it" in notes[0]


def test_a_cache_that_somebody_holds_is_not_waited_for_for_ever(tmp_path):
    notes = []
    with closing(AnswerCache(tmp_path, patience=0.05)) as cache:
        holder = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
        with closing(holder):
            holder.execute("BEGIN EXCLUSIVE")
            assert Cached(Scripted("a"), cache, notify=notes.append).complete(request()).text == "a"
    assert len(notes) == 1


def test_a_broken_cache_ends_an_offline_run(tmp_path):
    with closing(AnswerCache(tmp_path / "answers")) as cache:
        _overwrite(tmp_path / "answers")
        with pytest.raises(CacheError, match="cannot be used"):
            Cached(Scripted("a"), cache, offline=True).complete(request())


def test_a_damaged_answer_is_as_good_as_absent(tmp_path):
    with closing(AnswerCache(tmp_path)) as cache:
        Cached(Scripted("a"), cache).complete(request())
        with closing(sqlite3.connect(tmp_path / "cache.db", isolation_level=None)) as other:
            other.execute("UPDATE Cache SET value = x'00'")
        assert cache.get("scripted", request()) is None


@pytest.mark.parametrize("content", [None, b"no folder", b"no database " * 1000])
def test_unusable_cache_folder_is_named(tmp_path, content):
    folder = tmp_path / "answers"
    if content == b"no folder":
        folder.write_bytes(content)
    else:
        folder.mkdir()
        (folder / "cache.db").mkdir() if content is None else (folder / "cache.db").write_bytes(content)
    with pytest.raises(CacheError, match=r"answers cannot be used .*--no-cache"):
        AnswerCache(folder)


def test_what_is_only_a_shortcut_may_fail_to_be_written(tmp_path, embedded):
    (tmp_path / "file").write_text("")
    ladder = Ladder(tmp_path / "file" / "ladder")
    ladder.remember("e", "m", "text")
    assert ladder.rungs("e", "m") == ("text",)
    check_file(embedded, tmp_path / "file" / "stamp")


def test_missing_runtime_says_what_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
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


@pytest.mark.parametrize(("path", "why"), [("", "directory"), ("/dev/full", "No space left")])
def test_a_log_that_cannot_be_written_is_named(tmp_path, path, why):
    with pytest.raises(SettingsError, match=rf"the log .* cannot be written \(.*{why}.*log_file"):
        ExchangeLog(tmp_path / path, Redactor()).append({})


def test_a_record_cut_short_does_not_damage_the_next(tmp_path):
    log = ExchangeLog(tmp_path / "log.jsonl", Redactor())
    log.append({"n": 1})
    with log.path.open("a") as stream:
        stream.write('{"n": 2, "te')
    log.append({"n": 3})
    assert read_log(log.path) == ([{"n": 1}, {"n": 3}], 1)
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_full_log_is_put_aside_and_one_older_one_is_kept(tmp_path):
    log = ExchangeLog(tmp_path / "log.jsonl", Redactor(), largest=100)
    for n in range(40):
        log.append({"n": n})
    kept = [record["n"] for record in read_log(log.path).records]
    assert kept == list(range(kept[0], 40))
    assert 10 < len(kept) < 30
    assert {path.name for path in tmp_path.glob("log*")} == {"log.jsonl", "log.jsonl.1"}
    assert all(path.stat().st_size <= 110 for path in tmp_path.glob("log*"))
    assert [record["n"] for record in read_log(log.path, 2).records] == [38, 39]


def test_processes_share_the_log_the_cache_and_what_is_known_of_endpoints(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=writers.work, args=(tmp_path, who)) for who in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    records, damaged = read_log(tmp_path / "log.jsonl")
    asked = {request.digest for who in range(4) for request in writers.questions(who)}
    assert (damaged, {record["digest"] for record in records}) == (0, asked)
    assert older(tmp_path / "log.jsonl").stat().st_size < writers.LARGEST + 2000
    with closing(AnswerCache(tmp_path / "answers")) as cache:
        model = Cached(Scripted([]), cache, offline=True)
        for who in range(4):
            texts = [model.complete(request).text for request in writers.questions(who)]
            assert set(texts[writers.SHARED :]) == {f"answer of {who}"}
    assert "text" in {Ladder(tmp_path / "ladder").remembered("endpoint", f"model {who}") for who in range(4)}


def test_threads_share_the_log_and_the_budget(tmp_path):
    log, budget = ExchangeLog(tmp_path / "log.jsonl", Redactor(), largest=30_000), Budget()
    model = Budgeted(Logged(Scripted(["a"] * 64), log), budget)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: model.complete(request(sample=n)), range(64)))
    records, damaged = read_log(log.path)
    assert (damaged, len({record["digest"] for record in records})) == (0, 64)
    assert (budget.calls, budget.spent.completion_tokens) == (64, 64)


def test_a_writer_that_waited_writes_to_the_new_log(tmp_path):
    """Another process holds the log, puts it aside and lets go: the waiting record must not land in the old one."""
    fcntl = pytest.importorskip("fcntl")
    log = ExchangeLog(tmp_path / "log.jsonl", Redactor())
    log.append({"n": 1})
    with log.path.open("rb") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = pool.submit(log.append, {"n": 2})
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        log.path.replace(older(log.path))
        fcntl.flock(held, fcntl.LOCK_UN)
        waiting.result(timeout=10)
    assert [json.loads(part.read_text())["n"] for part in (older(log.path), log.path)] == [1, 2]


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
        model = open_model(settings, shared)
        assert (model.endpoint, model.model) == ("replay:tape.jsonl", "m")
        assert model.complete(request()).text == "recorded"
    assert "recorded" in settings.log_file.read_text()


def test_refresh_also_tries_the_strictest_structure_again():
    with serve(lambda body: chat("{}")) as server:
        flags = {"model": "m", "base_url": server.url, "refresh": True}
        settings = load(ModelSettings, "model", flags)
        Ladder(ladder_file(settings)).remember(server.url, "m", "text")
        with resources(settings) as shared:
            asked = request(json_schema={"type": "object"})
            assert open_model(settings, shared).complete(asked).mode == "json_schema"
    assert Ladder(ladder_file(settings)).remembered(server.url, "m") == "json_schema"


def test_the_embedded_model_by_name_says_nothing(tmp_path):
    notes = []
    settings = load(ModelSettings, "model", {"model": "local"})
    with resources(settings) as shared:
        assert open_model(settings, shared, notify=notes.append).endpoint == "embedded"
    assert notes == []
    assert "my-secret" not in repr(Redactor([SecretStr("my-secret-key")]))
