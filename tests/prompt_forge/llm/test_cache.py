"""Answers kept on disk, and what happens when the disk does not play along."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from prompt_forge.errors import (
    CacheError,
    IncompleteError,
    OfflineError,
)
from prompt_forge.llm.cache import AnswerCache, Cached
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.types import Message, Request


def request(text="Defects?", **more):
    return Request(model="m", messages=(Message(role="user", content=text),), **more)


@pytest.fixture
def cache(tmp_path):
    store = AnswerCache(tmp_path / "answers")
    yield store
    store.close()


def test_cache_answers_once_asked_and_never_holds_errors(cache):
    model = Scripted([IncompleteError("cut"), "a", "b"])
    with pytest.raises(IncompleteError):
        Cached(model, cache).complete(request())
    assert len(cache) == 0
    assert [Cached(model, cache).complete(request()).cached for _ in range(2)] == [False, True]
    assert Cached(model, cache, refresh=True).complete(request()).text == "b"
    with pytest.raises(OfflineError, match="without --offline"):
        Cached(model, cache, offline=True).complete(request(sample=1))


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
