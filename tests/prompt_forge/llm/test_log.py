"""The exchange log under threads, processes, kills and full disks."""

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from pydantic import SecretStr

from descriptions.common.errors import SettingsError
from prompt_forge.errors import IncompleteError, RecordingError
from prompt_forge.llm.budget import Budget, Budgeted
from prompt_forge.llm.cache import AnswerCache, Cached
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.log import ExchangeLog, Logged, older, read_log
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.replay import Replay
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.types import Message, Request
from tests.support import writers

KEY = "sk-abcdefgh12345678"


def request(text="Defects?", **more):
    return Request(model="m", messages=(Message(role="user", content=text),), **more)


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
