"""Addresses and keys as people paste them: trimmed where that is safe, refused with the reason where it is not."""

import os
import re
from urllib.parse import urlsplit

from pydantic import SecretStr

from descriptions.common.errors import SettingsError
from descriptions.common.settings import FILE, PREFIX
from prompt_forge.llm.redact import Redactor

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that no proxy is asked for."""

_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u201d": "\u201d", "\u2018": "\u2019", "\u2019": "\u2019", "`": "`"}
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00ad"
_CALLS = re.compile(r"/(?:chat/completions|completions|chat|models|responses|embeddings)/*$")
"""What people copy along from a page that shows a whole request."""
_VERSION = re.compile(r"/(?:v\d+\w*|openai|compatible-mode|api/paas)(?:/|$)")
_NAMES = {" ": "a blank", "\t": "a tab", "\n": "a line break", "\r": "a carriage return"}


def trimmed(text: str) -> str:
    r"""`text` without what a shell, a `.env` file or a word processor adds around it.

    >>> trimmed(' "sk-123"\r\n')
    'sk-123'
    """
    text = text.strip().strip(_INVISIBLE).strip()
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text


def check_key(key: SecretStr | None) -> None:
    """Refuse a key that no HTTP header can carry.

    Raises:
        SettingsError: it holds a blank, a line break, a quote or a sign outside ASCII. The key itself is not shown.
    """
    value = key.get_secret_value() if key else ""
    wrong = next((sign for sign in value if not "!" <= sign <= "~" or sign in "\"'`"), None)
    if wrong is None:
        return
    said = _NAMES.get(wrong) or (f"the quote {wrong}" if wrong in _QUOTES else f"the sign U+{ord(wrong):04X}")
    problem = f"{_where_the_key_is()} holds {said} at position {value.index(wrong) + 1} of {len(value)}"
    raise SettingsError(problem, expected="letters, digits and signs such as - and _ only", hint="copy the key again")


def _where_the_key_is() -> str:
    for name in (f"{PREFIX}API_KEY", "OPENAI_API_KEY"):
        if os.environ.get(name):
            return name
    return f"api_key in {FILE}"


def address(base_url: str) -> str:
    """`base_url` as it is used, shown and stored: no password, no query, no path of a single call.

    Raises:
        SettingsError: it is no http(s) address, or carries a password.
    """
    base_url = trimmed(base_url)
    if inner := re.search(r"\s", base_url):
        sign = _NAMES.get(inner[0], "a blank")
        problem = f"base URL {Redactor()(base_url)!r} holds {sign}"
        raise SettingsError(problem, expected="an address like http://127.0.0.1:8080/v1")
    try:
        parts = urlsplit(base_url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise SettingsError("a base URL that cannot be read", expected="like http://127.0.0.1:8080/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"base URL {Redactor()(base_url)}", expected="an address like http://127.0.0.1:8080/v1")
    if parts.username or parts.password:
        raise SettingsError("a base URL that carries a password", hint="put the key into OPENAI_API_KEY")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{_CALLS.sub('', parts.path).rstrip('/')}"


def remark(base_url: str) -> str:
    """What is unusual about an address, in a few words, or nothing."""
    used = address(base_url)
    if _CALLS.search(urlsplit(trimmed(base_url)).path):
        return f"the base URL names a single call; using {used}"
    return ""


def with_version(base_url: str) -> str:
    """The address with `/v1`, for one that has no such ending; otherwise nothing."""
    used = address(base_url)
    return "" if _VERSION.search(urlsplit(used).path) else f"{used}/v1"
