"""A thin client of `detector serve`, for programs that hold no model; extra `serve` (httpx).

    from detector.client import Client

    with Client("http://127.0.0.1:8000") as client:
        for image in client.detect(["a.jpg", "b.jpg"], "capsule")["images"]:
            print(image["path"], image["score"])

Answers are the JSON documents of the server; its refusals become `ServerError` with the same sentence.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from descriptions.common.extras import require
from detector.errors import DetectorError

if TYPE_CHECKING:
    import httpx

PATIENCE = 60.0
"""Seconds that a full server is asked again."""
POLL = 0.25
"""Seconds between two looks at a job."""


class ServerError(DetectorError):
    """The server refused, or does not answer."""

    def __init__(self, problem: str, *, status: int | None = None, expected: str = "", hint: str = "") -> None:
        super().__init__(problem, expected=expected, hint=hint)
        self.status = status
        """Of HTTP; None where nobody answered."""


class Client:
    """One server.

    Args:
        url: of the server.
        token: that it wants; `FILO_FORGE_TOKEN` where none is given.
        timeout: seconds that one request may take.
        patience: seconds that a server whose queue is full is asked again, as often as it says.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout: float = 300.0,
        patience: float = PATIENCE,
    ) -> None:
        require("detector.client", "httpx")
        import httpx

        token = token or os.environ.get("FILO_FORGE_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url, self.patience = url.rstrip("/"), patience
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    def detect(self, photos: Sequence[str | Path], category: str, **fields: Any) -> dict[str, Any]:
        """Score photos.

        Args:
            photos: paths.
            category: `capsule`, `capsule@2` or `capsule@reviewed`.
            fields: `references` (a name that the server keeps, or a list of paths), `together`, `false_alarms`,
                `threshold`.

        Returns:
            The document that `detector detect --format json` prints.

        Raises:
            ServerError: the server refuses, or does not answer.
            DetectorError: a photo cannot be read here.
        """
        return self._send("/v1/detect", photos, category, fields).json()  # type: ignore[no-any-return]

    def batch(
        self,
        photos: Sequence[str | Path],
        category: str,
        progress: Callable[[dict[str, Any]], None] = lambda _: None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Score many photos as a job, and wait for it; an interrupted wait cancels the job.

        Args:
            photos: paths.
            category: as of `detect`.
            progress: is given the state of the job whenever it was looked at.
            fields: as of `detect`, without `together`.

        Returns:
            As `detect`.

        Raises:
            ServerError: the server refuses, or the job fails.
        """
        place = self._send("/v1/detect/batch", photos, category, fields).headers["location"]
        try:
            while (state := self.get(place))["state"] in ("waiting", "running"):
                progress(state)
                time.sleep(POLL)
        except BaseException:
            self._http.delete(place)
            raise
        progress(state)
        if state["state"] != "done":
            raise ServerError(f"the job is {state['state']}", hint=state.get("error", ""))
        return self.get(f"{place}/result")

    def descriptions(self, category: str | None = None, version: int | str | None = None) -> dict[str, Any]:
        """All categories, the versions of one, or one version with what lint says of it."""
        parts = [str(part) for part in (category, version) if part is not None]
        return self.get("/".join(["/v1/descriptions", *parts]))

    def models(self) -> dict[str, Any]:
        """The model in memory, the presets, and the references that requests may name."""
        return self.get("/v1/models")

    def get(self, path: str) -> dict[str, Any]:
        """The JSON document at a path.

        Raises:
            ServerError: the server refuses, or does not answer.
        """
        return self._asked(lambda: self._http.get(path)).json()  # type: ignore[no-any-return]

    def _send(self, path: str, photos: Sequence[str | Path], category: str, fields: dict[str, Any]) -> "httpx.Response":
        references = fields.pop("references", None)
        named = isinstance(references, str)
        data = {"category": category} | ({"references": references} if named else {})
        data |= {name: str(value).lower() if isinstance(value, bool) else str(value)
                 for name, value in fields.items() if value is not None}  # fmt: skip
        files = [("images", photo) for photo in photos]
        files += [("references", photo) for photo in references or ()] if not named else []

        def post() -> "httpx.Response":
            with ExitStack() as stack:
                opened = [(name, (str(photo), stack.enter_context(_open(photo)))) for name, photo in files]
                return self._http.post(path, data=data, files=opened)

        return self._asked(post)

    def _asked(self, ask: "Callable[[], httpx.Response]") -> "httpx.Response":
        """The answer; a full server is asked again."""
        import httpx

        until = time.monotonic() + self.patience
        while True:
            try:
                answer = ask()
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                raise ServerError(f"no answer from {self.url} ({reason})", hint="is detector serve running?") from error
            if answer.is_success:
                return answer
            pause = float(answer.headers.get("retry-after", 0) or 0)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() + pause > until:
                raise _refusal(answer)
            time.sleep(pause)


def _open(photo: str | Path) -> Any:
    try:
        return Path(photo).open("rb")
    except OSError as error:
        raise DetectorError(f"{photo} cannot be read: {error.strerror}") from error


def _refusal(answer: "httpx.Response") -> ServerError:
    try:
        body = answer.json()
        problem = str(body.get("problem") or body["detail"])
        return ServerError(
            problem, status=answer.status_code, expected=str(body.get("expected", "")), hint=str(body.get("hint", ""))
        )
    except (ValueError, KeyError, AttributeError):
        return ServerError(f"{answer.url} answers {answer.status_code}", status=answer.status_code)
