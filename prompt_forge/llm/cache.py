"""Answers kept on disk, so that asking again costs nothing. Holds whole answers only, never an error."""

import hashlib
from pathlib import Path
from sqlite3 import DatabaseError

import diskcache

from prompt_forge.errors import OfflineError, SettingsError
from prompt_forge.llm.types import Completion, LanguageModel, Request


class AnswerCache:
    """A folder of answers, keyed by endpoint and everything in the request.

    Raises:
        SettingsError: the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        try:  # JSONDisk: the default disk would unpickle, and so execute, what it finds
            self._store = diskcache.Cache(str(folder), disk=diskcache.JSONDisk)
        except (OSError, DatabaseError) as error:
            hint = "remove it, or type --no-cache"
            raise SettingsError(f"the cache {folder} cannot be used ({error})", hint=hint) from error

    def get(self, endpoint: str, request: Request) -> Completion | None:
        """The answer given earlier, marked as cached, or None."""
        kept = self._store.get(_key(endpoint, request))
        try:
            found = Completion.model_validate(kept) if kept is not None else None
        except ValueError:  # written by another version: as good as absent
            return None
        return found and found.model_copy(update={"cached": True})

    def put(self, endpoint: str, request: Request, completion: Completion) -> None:
        """Keep `completion`."""
        self._store.set(_key(endpoint, request), completion.model_dump(mode="json"))

    def close(self) -> None:
        """Close the files."""
        self._store.close()

    def __len__(self) -> int:
        return len(self._store)


class Cached:
    """Answers from the cache where it can; `refresh` asks anyway, `offline` never asks."""

    def __init__(
        self, inner: LanguageModel, cache: AnswerCache, *, refresh: bool = False, offline: bool = False
    ) -> None:
        self._inner, self._cache = inner, cache
        self._refresh, self._offline = refresh, offline

    @property
    def endpoint(self) -> str:
        """Of the model behind."""
        return self._inner.endpoint

    @property
    def model(self) -> str:
        """Of the model behind."""
        return self._inner.model

    def complete(self, request: Request) -> Completion:
        """The kept answer, else the model's.

        Raises:
            OfflineError: nothing is kept and the model may not be asked.
        """
        found = None if self._refresh else self._cache.get(self.endpoint, request)
        if found is not None:
            return found
        if self._offline:
            came = f"--offline, and this answer of {request.model} is not in the cache"
            raise OfflineError(came, hint="run once without --offline; the embedded model needs no network")
        completion = self._inner.complete(request)
        self._cache.put(self.endpoint, request, completion)
        return completion


def _key(endpoint: str, request: Request) -> str:
    return hashlib.sha256(f"{endpoint}\n{request.digest}".encode()).hexdigest()
