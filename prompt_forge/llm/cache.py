"""Answers kept on disk, so that asking again costs nothing. Holds whole answers only, never an error."""

import hashlib
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import diskcache

from prompt_forge.errors import CacheError, OfflineError
from prompt_forge.llm.types import Completion, LanguageModel, Request
from prompt_forge.llm.wrapper import Wrapper

_HINT = "remove it, or type --no-cache"


class AnswerCache:
    """A folder of answers, keyed by endpoint and everything in the request; threads and processes may share it.

    Args:
        folder: created when missing.
        patience: seconds to wait while another process writes.

    Raises:
        CacheError: the folder cannot be used.
    """

    def __init__(self, folder: Path, *, patience: float = 10.0) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._given_up = False
        with self._clear():  # JSONDisk: the default disk would unpickle, and so execute, what it finds
            self._store = diskcache.Cache(str(folder), timeout=patience, disk=diskcache.JSONDisk)

    @property
    def given_up(self) -> bool:
        """Whether it broke during the run and is not asked any more."""
        return self._given_up

    def give_up(self) -> bool:
        """Do without it from now on; False when that was decided already."""
        with self._lock:
            first, self._given_up = not self._given_up, True
            return first

    def get(self, endpoint: str, request: Request) -> Completion | None:
        """The answer given earlier, marked as cached, or None.

        Raises:
            CacheError: the folder cannot be used any more.
        """
        try:
            with self._clear():
                stored = self._store.get(_key(endpoint, request))
            completion = Completion.model_validate(stored) if stored is not None else None
        except (ValueError, zlib.error):  # damaged, or written by another version: as good as absent
            return None
        return completion and completion.model_copy(update={"cached": True})

    def put(self, endpoint: str, request: Request, completion: Completion) -> None:
        """Keep `completion`.

        Raises:
            CacheError: the folder cannot be used any more.
        """
        with self._clear():
            self._store.set(_key(endpoint, request), completion.model_dump(mode="json"))

    @contextmanager
    def _clear(self) -> Iterator[None]:
        """What sqlite, diskcache and the disk raise, as one clear line."""
        try:
            yield
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            cause = str(error) or "another process holds it"
            raise CacheError(f"the cache {self._folder} cannot be used ({cause})", hint=_HINT) from error

    def close(self) -> None:
        """Close the files."""
        self._store.close()

    def __len__(self) -> int:
        return len(self._store)


class Cached(Wrapper):
    """Answers from the cache where it can; a cache that breaks during the run is done without.

    Args:
        inner: asked when nothing is kept.
        cache: of answers.
        refresh: ask anyway.
        offline: never ask.
        notify: shows one line to the user.
    """

    def __init__(
        self,
        inner: LanguageModel,
        cache: AnswerCache,
        *,
        refresh: bool = False,
        offline: bool = False,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(inner)
        self._cache = cache
        self._refresh, self._offline, self._notify = refresh, offline, notify

    def complete(self, request: Request) -> Completion:
        """The kept answer, else the model's.

        Raises:
            OfflineError: nothing is kept and the model may not be asked.
            CacheError: the cache broke, and the model may not be asked.
        """
        cached = None if self._refresh else self._look_up(request)
        if cached is not None:
            return cached
        if self._offline:
            problem = f"--offline, and this answer of {request.model} is not in the cache"
            raise OfflineError(problem, hint="run once without --offline; the embedded model needs no network")
        completion = self._inner.complete(request)
        self._keep(request, completion)
        return completion

    def _look_up(self, request: Request) -> Completion | None:
        try:
            return None if self._cache.given_up else self._cache.get(self.endpoint, request)
        except CacheError as error:
            if self._offline:
                raise
            self._go_on_without(error)
            return None

    def _keep(self, request: Request, completion: Completion) -> None:
        try:
            if not self._cache.given_up:
                self._cache.put(self.endpoint, request, completion)
        except CacheError as error:
            self._go_on_without(error)

    def _go_on_without(self, error: CacheError) -> None:
        """An answer that cannot be kept is still an answer; said once a run."""
        if self._cache.give_up():
            self._notify(f"warning: {error.problem}; going on without it")


def _key(endpoint: str, request: Request) -> str:
    return hashlib.sha256(f"{endpoint}\n{request.digest}".encode()).hexdigest()
