"""What several processes do to one log and one cache at the same time; importable, as spawned processes need it."""

from contextlib import closing
from pathlib import Path

from prompt_forge.llm.cache import AnswerCache, Cached
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.log import ExchangeLog, Logged
from prompt_forge.llm.redact import Redactor
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.types import Message, Request

SHARED, OWN = 20, 40
"""Requests that all processes ask, and that one alone asks."""

LARGEST = 130_000
"""Bytes of the log; four processes write more than that and less than twice as much."""


def question(text: str) -> Request:
    """A request of a realistic length."""
    return Request(model="scripted", messages=(Message(role="user", content=text + " " + "x" * 200),))


def questions(who: int) -> list[Request]:
    """What process `who` asks."""
    return [question(f"shared {n}") for n in range(SHARED)] + [question(f"own {who} {n}") for n in range(OWN)]


def work(folder: Path, who: int) -> None:
    """Ask everything, through the cache and the log in `folder`."""
    asked = questions(who)
    log = ExchangeLog(folder / "log.jsonl", Redactor(), largest=LARGEST)
    with closing(AnswerCache(folder / "answers", patience=60)) as cache:
        model = Cached(Logged(Scripted([f"answer of {who}"] * len(asked)), log), cache, notify=_fail)
        for request in asked:
            model.complete(request)
        Ladder(folder / "ladder").remember("endpoint", f"model {who}", "text")


def _fail(warning: str) -> None:
    raise AssertionError(warning)
