"""Debian's Chromium, driven by Playwright; watches for complaints and for requests that leave the page's folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser, or a skip (in CI: a failure) that says in one line why there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "no chromium; install it with `apt-get install chromium`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Visit:
    """A page that was opened from its file.

    Args:
        browser: of `chromium`.
        path: of the page.
        options: of the browser's context, such as `color_scheme`.
    """

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.goto(path.as_uri())

    def require_quiet(self) -> None:
        """No error, no alert, and nothing asked for but files and what the page itself carries."""
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(("file:", "data:"))] == []
        self.page.close()

    def wait_for(self, selector: str, text: str) -> None:
        """Until the element shows this text: a click may return before a busy browser has drawn its effect."""
        self.page.locator(selector, has_text=text).wait_for()

    def shown(self, selector: str) -> list[str]:
        """Texts of the elements that are to be seen, in their order."""
        return [each.inner_text() for each in self.page.locator(selector).all() if each.is_visible()]
