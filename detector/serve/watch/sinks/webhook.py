"""Results posted to an address, signed.

X-Filo-Forge-Signature: sha256=<HMAC of the body with the key>
X-Filo-Forge-Delivery:  the same for every try of one result
"""

import hashlib
import hmac
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from descriptions.common.extras import require
from descriptions.common.files import read_text
from detector.serve.errors import ServeError
from detector.serve.watch.sinks.waiting import Waiting


class Webhook:
    """One address.

    Args:
        url: http or https.
        key: that bodies are signed with.
    """

    def __init__(self, url: str, key: bytes) -> None:
        require("--webhook", "httpx")
        import httpx

        self.url, self.key = url, key
        self._http = httpx.Client(timeout=10, follow_redirects=False)
        self._waiting = Waiting(without_secrets(url), self._post)

    @classmethod
    def open(cls, url: str, secret: Path | None) -> "Webhook":
        """The webhook of the command line.

        Raises:
            ServeError: no address, or no key to sign with.
        """
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ServeError(f"--webhook {url[:120]!r}", expected="an address such as https://plant.example/results")
        if secret is None:
            raise ServeError("--webhook without --webhook-secret", expected="a file with the key to sign results with")
        key = read_secret("--webhook-secret", secret, "a file with one key").encode()
        if len(key) < 16:
            raise ServeError(f"the key of {secret} is too short", expected="at least 16 characters")
        return cls(url, key)

    def send(self, line: dict[str, Any]) -> None:
        """Post one result later, in order."""
        self._waiting.send(line)

    def close(self) -> None:
        """Give what waits a last chance."""
        self._waiting.close()
        self._http.close()

    def _post(self, name: str, body: bytes) -> bool:
        import httpx

        headers = {
            "Content-Type": "application/json",
            "X-Filo-Forge-Signature": "sha256=" + hmac.new(self.key, body, hashlib.sha256).hexdigest(),
            "X-Filo-Forge-Delivery": name,
        }
        try:
            return self._http.post(self.url, content=body, headers=headers).is_success
        except httpx.HTTPError:
            return False


def without_secrets(url: str) -> str:
    """An address without the name, password and query that may stand in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.hostname or "", query="").geturl()


def read_secret(option: str, path: Path, expected: str) -> str:
    """The one line of a file that nobody else may see on a command line.

    Raises:
        ServeError: it cannot be read.
    """
    try:
        return read_text(path).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServeError(f"{option} {path} cannot be read", expected=expected) from error
