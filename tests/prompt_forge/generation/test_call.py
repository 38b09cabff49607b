"""`prompt_forge.generate`: one product from Python, against a real server on this machine."""

from pathlib import Path

import pytest

import prompt_forge
from descriptions import Store
from descriptions.common.errors import SettingsError
from prompt_forge.errors import EndpointError
from tests.support.answers import GOOD
from tests.support.servers import chat, error, serve


def test_a_product_becomes_a_version(tmp_path: Path) -> None:
    store = Store(tmp_path / "library")
    with serve(lambda _: chat(GOOD)) as server:
        options = {"model": "m", "base_url": server.url, "api_key": "k", "store": store}
        version = prompt_forge.generate("gear", parts=["tooth", "hub"], count=3, **options)
        again = prompt_forge.generate("gear", parts=["tooth", "hub"], count=3, **options)
    assert version == store.load("gear@1")
    assert version.enabled_texts == ("long dark scratch", "round dent", "brown stain")
    assert version.parts == ("tooth", "hub")
    assert (again.ref, len(server.requests)) == ("gear@1", 1)


def test_a_refusal_is_the_error_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "library")
    with serve(lambda _: error(404, "no such model")) as server, pytest.raises(EndpointError):
        prompt_forge.generate("gear", model="m", base_url=server.url, api_key="k", store=store, retries=0)
    assert store.categories() == []


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"coutn": 3}, "no setting coutn; did you mean count?"),
        ({"count": 0}, "setting count = 0; expected greater than or equal to 1; set in the call"),
        ({"parts": "tooth,hub"}, "parts is the text 'tooth,hub'; expected a list of texts; write ['tooth,hub']"),
    ],
)
def test_wrong_use_gets_one_line(wrong: dict[str, object], line: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        prompt_forge.generate("gear", model="m", store=Store(tmp_path), **wrong)
    assert str(refusal.value) == line
