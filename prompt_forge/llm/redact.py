"""Keeps keys out of everything that is written or shown."""

import json
import re
from collections.abc import Iterable

from pydantic import SecretStr

MASK = "[redacted]"
"""Stands where a secret stood."""

_SHORTEST_SECRET = 8
"""Servers without keys are called with `none` or `EMPTY`; hiding those words would only damage the text."""

_KEY_SHAPES = re.compile(r"(?i)\bbearer\s+[\w.~+/=-]{8,}|\bsk-[\w*-]{8,}|(?<=://)[^/\s@:]+:[^/\s@]+(?=@)")
"""A bearer header, an OpenAI-style key, a password in a URL: hidden even when we were never told of them."""


class Redactor:
    """Replaces known secrets, and whatever looks like one, by `MASK`."""

    def __init__(self, secrets: Iterable[SecretStr | None] = ()) -> None:
        values = [secret.get_secret_value() for secret in secrets if secret is not None]
        forms = {
            form for value in values if len(value) >= _SHORTEST_SECRET for form in (value, json.dumps(value)[1:-1])
        }
        self._literal = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._literal:
            text = text.replace(secret, MASK)
        return _KEY_SHAPES.sub(MASK, text)

    def __repr__(self) -> str:
        return f"Redactor({len(self._literal)} secrets)"
