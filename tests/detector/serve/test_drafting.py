"""A draft asked for on the page is written by the real language model, or cancelled, and then nothing of it stays."""

from pathlib import Path

import pytest

from descriptions.store import Store
from detector.serve.errors import BusyError, ServeError
from detector.serve.page.drafting import Drafting
from tests.support.browser import chromium
from tests.support.detecting import make_workplace
from tests.support.serving import serving, tiny_settings, wait_until


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("xllamacpp", reason="the embedded language model is not installed")
    return make_workplace(tmp_path_factory.mktemp("drafts"), photos=0)


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a folder in which two entries are enough."""
    (tmp_path / "filo-forge.toml").write_text("[generate]\ncount = 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_a_draft_of_the_page_is_a_version_that_can_be_opened(home: Path) -> None:
    with serving(tiny_settings(home)) as server, chromium() as browser:
        page = browser.new_page()
        page.goto(server.url)
        section = page.locator("#draft")
        section.get_by_role("textbox").fill("door hinge")
        section.get_by_role("button", name="Write a draft").click()
        section.get_by_role("button", name="Cancel").wait_for()
        section.get_by_text("asked").wait_for()
        section.get_by_role("link", name="door_hinge@1").click(timeout=200_000)
        page.wait_for_url("**/review/door_hinge?v=1")
        written = Store(home / "library").load("door_hinge@1")
        assert written.enabled_texts
        assert written.object_name == "door hinge"
        for text in written.enabled_texts:
            assert page.get_by_text(text).count()


@pytest.mark.usefixtures("few")
def test_a_draft_can_be_cancelled_and_only_one_is_written_at_a_time(home: Path) -> None:
    drafting = Drafting(home / "library")
    before = Store(home / "library").categories()
    assert drafting.start("garden gnome").running
    with pytest.raises(BusyError, match="a draft of garden_gnome is being written"):
        drafting.start("capsule")
    drafting.cancel()
    wait_until(lambda: not drafting.state.running)
    assert drafting.state.failed == "cancelled"
    assert Store(home / "library").categories() == before
    assert drafting.cancel().failed == "cancelled"


@pytest.mark.parametrize("product", ["", "   ", "***", "../../etc/passwd\0"])
def test_what_is_no_product_starts_nothing(home: Path, product: str) -> None:
    drafting = Drafting(home / "library")
    with pytest.raises(ServeError, match="expected a name such as door hinge"):
        drafting.start(product)
    assert not drafting.state.running


def test_a_program_that_refuses_is_quoted(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "filo-forge.toml").write_text("[generate]\ncount = 0\n")
    monkeypatch.chdir(tmp_path)
    drafting = Drafting(home / "library")
    drafting.start("gear")
    wait_until(lambda: not drafting.state.running)
    assert "count" in drafting.state.failed
    assert drafting.state.saved == ""
