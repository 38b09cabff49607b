"""The page compares photos with good ones where the server has some of the product, and its scores are `detect`'s."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.serve.page.beside import references_of
from tests.support.detecting import command, make_workplace, run
from tests.support.serving import Running, png, serving, tiny_settings

CARD = re.compile(r'<article[^>]* data-score="([^"]*)".*?class="name" title="([^"]*)"', re.DOTALL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workplace(tmp_path_factory.mktemp("beside"), photos=4)
    (folder / "good").mkdir()
    for seed in range(5):
        (folder / "good" / f"{seed}.png").write_bytes(png(100 + seed))
    (folder / "photos" / "own.png").write_bytes(png(100))  # a reference among the photos is not compared with itself
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Running]:
    changes = {"photos": (str(home / "photos"),), "category": "gear", "references": (str(home / "good"),)}
    with serving(tiny_settings(home, **changes)) as running:
        yield running


def shown(running: Running, query: str = "") -> tuple[str, dict[str, float]]:
    """The page, and the score of every photo by its path."""
    page = running.client.get(f"/review/gear{query}", headers={"hx-request": "true"})
    assert page.status_code == 200, page.text
    return page.text, {html.unescape(path): float(score) for score, path in CARD.findall(page.text)}


def test_scores_are_those_of_detect_beside_references(home: Path, server: Running) -> None:
    said = run([*command(home), "--references", str(home / "good"), "--format", "json"]).stdout
    expected = {each["path"]: each["score"] for each in json.loads(said)["images"]}
    text, scores = shown(server)
    assert "words beside the good photos of <b>good</b>" in text
    assert scores == pytest.approx(expected, abs=1e-5)
    alone = json.loads(run([*command(home), "--format", "json"]).stdout)["images"]
    assert scores != pytest.approx({each["path"]: each["score"] for each in alone}, abs=1e-2)


def test_a_switched_phrase_changes_scores_beside_references_and_reads_no_photo_again(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before = shown(server)
    with monkeypatch.context() as patched:
        patched.setattr("detector.serve.page.beside.photo_hash", None)  # distances do not depend on the words
        _, after = shown(server, "?do=off~tooth")
        assert after.keys() == before.keys()
        assert after != before
        assert shown(server)[1] == before


def test_references_belong_to_the_product_they_are_named_after_or_to_the_only_one(tmp_path: Path) -> None:
    one, two = tmp_path / "gear", tmp_path / "good"
    assert references_of("gear", {"gear": one, "good": two}, None) == one
    assert references_of("gear", {"good": two}, "gear@2") == two
    assert references_of("gear", {"good": two}, None) is None
    assert references_of("cap", {"good": two}, "gear") is None
    assert references_of("gear", {"a": one, "b": two}, "gear") is None


def test_references_of_another_product_are_said_on_the_page(home: Path, tmp_path: Path) -> None:
    bank = tmp_path / "gear.refs.safetensors"
    checkpoint = ["--checkpoint", str(home / "tiny.safetensors")]
    run(["references", "build", str(home / "good"), "--category", "cap", "--out", str(bank), *checkpoint])
    changes = {"photos": (str(home / "photos"),), "category": "gear", "references": (str(bank),)}
    with serving(tiny_settings(home, **changes)) as running:
        page = running.client.get("/review/gear", headers={"hx-request": "true"})
        assert page.status_code == 422
        assert "references of 'cap'" in page.text.replace("&#39;", "'")


@pytest.mark.parametrize("category", ["gear", "gear@1"])
def test_the_first_page_of_a_server_for_one_product_leads_to_it(home: Path, category: str) -> None:
    with serving(tiny_settings(home, category=category)) as running:
        page = running.client.get("/")
        assert page.status_code == 200
        for name in ("review", "judge", "compare"):
            assert f'href="/{name}/gear"' in page.text
            assert running.client.get(f"/{name}/gear").status_code == 200
