"""The page in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.weights.checkpoint import save_checkpoint
from tests.support.browser import chromium
from tests.support.clip import tiny_filo
from tests.support.pictures import plate
from tests.support.serving import Running, serving, tiny_settings

TEXTS = {"crack": "thin dark crack", "blot": "brown blot", "dent": "pressed-in dent", "scuff": "pale scuff line"}

CONTRAST = r"""selector => {
  const part = v => v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  const parse = text => text.match(/[\d.]+/g).map(Number);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = element => {
    const sides = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    return (Math.max(...sides) + .05) / (Math.min(...sides) + .05);
  };
  return Math.min(...[...document.querySelectorAll(selector)].filter(each => each.checkVisibility()).map(ratio));
}"""
"""Lowest contrast of text with what lies behind it (WCAG 2)."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good and three scratched plates with masks, and plate@1."""
    home = tmp_path_factory.mktemp("page")
    save_checkpoint(tiny_filo(), home / "tiny.safetensors", whole=True)
    entries = [Anomaly(id=name, text=text, family="mark", part="ring", source="llm") for name, text in TEXTS.items()]
    Store(home / "library").save(DescriptionFile(category="plate", object_name="plate", anomalies=tuple(entries)))
    for seed in range(6):
        kind = "scratched" if seed % 2 else "good"
        path = home / "data" / "plate" / "test" / kind / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        plate(seed, scratched=seed % 2 == 1, size=(96, 64)).save(path)
        if seed % 2:
            mask = Image.new("L", (96, 64))
            ImageDraw.Draw(mask).rectangle((30, 20, 60, 40), fill=255)
            truth = home / "data" / "plate" / "ground_truth" / "scratched" / f"{seed}_mask.png"
            truth.parent.mkdir(parents=True, exist_ok=True)
            mask.save(truth)
    return home


@pytest.fixture(scope="module")
def server(workplace: Path) -> Iterator[Running]:
    with serving(tiny_settings(workplace, data=workplace / "data", runs=workplace)) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


class Tab:
    """A page of the server; complaints and requests to elsewhere are noted."""

    def __init__(self, browser: Any, server: Running, path: str, **options: Any) -> None:
        self.server = server
        self.page = browser.new_page(**options)
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.set_default_timeout(60_000)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", self._asked)
        self.page.goto(server.url + path)
        self.wait()

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.server.url, "data:")):
            self.foreign.append(request.url)

    def wait(self) -> None:
        """Until the photos are there."""
        self.page.locator("[data-photo]").first.wait_for()

    def after(self, act: Any) -> None:
        """Do something and wait until the page shows what came of it."""
        before = self.page.evaluate("document.documentElement.dataset.settled")
        act()
        self.page.wait_for_function("old => document.documentElement.dataset.settled !== old", arg=before)

    def keys(self, *names: str) -> None:
        for name in names:
            self.page.keyboard.press(name)

    def scores(self) -> dict[str, str]:
        """Shown score by photo."""
        return {
            card.get_attribute("data-photo"): card.locator(".score").inner_text()
            for card in self.page.locator("[data-photo]").all()
        }

    def maps(self) -> dict[str, bytes]:
        """Pixels of the maps by photo."""
        images = self.page.locator("[data-photo] img.map").all()
        sources = [image.get_attribute("src") for image in images]
        return {source.split("/")[4]: self.server.client.get(source).content for source in sources}

    def end(self) -> None:
        assert self.complaints == []
        assert self.foreign == []
        self.page.close()


def test_switching_a_phrase_changes_maps_and_scores_and_undo_brings_them_back(browser: Any, server: Running) -> None:
    tab = Tab(browser, server, "/review/plate")
    scores, maps = tab.scores(), tab.maps()
    assert len(scores) == 6
    tab.after(lambda: tab.page.locator("#p-crack .switch").click())
    assert "do=off~crack" in tab.page.url.replace("%7E", "~")
    assert tab.page.locator("#p-crack .switch").get_attribute("aria-checked") == "false"
    changed = tab.maps()
    assert tab.scores() != scores
    assert [key for key in maps if changed[key] == maps[key]] == []
    assert tab.page.locator(".change").count() > 0
    link = tab.page.url
    tab.after(lambda: tab.page.locator('[data-key="z"]').click())
    assert (tab.scores(), tab.maps()) == (scores, maps)
    assert tab.page.locator("[data-save]").count() == 0
    other = Tab(browser, server, link.removeprefix(server.url))  # every state has a link
    assert other.maps() == changed
    other.end()
    tab.end()


def test_scores_are_those_of_detect(browser: Any, server: Running, workplace: Path) -> None:
    tab = Tab(browser, server, "/review/plate?do=off~crack&do=text~blot~dark+rust+stain")
    description = Store(workplace / "library").load("plate@1")
    entries = [
        each.model_copy(
            update={"enabled": each.id != "crack", "text": "dark rust stain" if each.id == "blot" else each.text}
        )
        for each in description.anomalies
    ]
    paths = sorted((workplace / "data").rglob("test/*/*.png"))
    expected = server.service.detector.predict(paths, description.revised(anomalies=tuple(entries)))
    assert sorted(tab.scores().values()) == sorted(f"{each.score:.3f}" for each in expected)
    tab.end()


def test_lint_speaks_while_one_types(browser: Any, server: Running) -> None:
    tab = Tab(browser, server, "/review/plate")
    field = tab.page.locator("#new-phrase")
    field.fill("foul odour")
    tab.page.locator(".add .lint.error", has_text="odour").wait_for()
    field.fill("deep scratch on one side")
    tab.page.locator(".add .lint", has_text="nothing to say against it").wait_for()
    field.fill("$ % " * 45)
    tab.page.locator(".add .lint.error", has_text="tokens").wait_for()
    field.fill("deep scratch on one side")
    tab.after(lambda: tab.page.locator(".add button").click())
    assert tab.page.locator("[data-phrase]").count() == 5
    assert tab.page.locator("#p-deep-scratch-on-one-side").inner_text().count("person") == 1
    tab.end()


def test_a_version_is_saved_with_parent_and_reviewer_and_two_who_save_get_two(
    browser: Any, server: Running, workplace: Path
) -> None:
    first = Tab(browser, server, "/review/plate?v=1&do=off~crack&do=text~dent~round+dent&do=lock~blot")
    second = Tab(browser, server, "/review/plate?v=1&do=note~blot~seen+twice")
    for tab, name, others in ((first, "Grace", ""), (second, "Ada", "v2")):
        tab.page.locator("[data-save]").click()
        tab.page.locator("#save input[name=by]").fill(name)
        tab.page.locator("#save .primary").click()
        tab.page.wait_for_url("**/review/plate?v=*")
        tab.wait()
        toast = tab.page.locator("#toast")
        toast.wait_for()
        assert ("Meanwhile" in toast.inner_text()) == bool(others)
        assert others in toast.inner_text()
    library = Store(workplace / "library")
    saved, other = library.load("plate@2"), library.load("plate@3")
    assert (saved.parent, saved.reviewer, saved.change) == (1, "Grace", "1 switched off, 1 locked, 1 reworded")
    assert (other.parent, other.reviewer, other.change) == (1, "Ada", "1 noted")
    assert [each.enabled for each in saved.anomalies] == [False, True, True, True]
    assert saved.anomalies[2].source == "human"
    assert saved.anomalies[0].source == "llm"
    first.end()
    second.end()


def test_lint_errors_keep_a_version_from_being_saved(browser: Any, server: Running, workplace: Path) -> None:
    before = Store(workplace / "library").versions("plate")
    tab = Tab(browser, server, "/review/plate?v=1&do=text~crack~foul+odour")
    tab.page.locator("[data-save]").click()
    tab.page.locator("#save .primary").click()
    tab.page.locator("#toast", has_text="odour").wait_for()
    assert Store(workplace / "library").versions("plate") == before
    tab.complaints = [each for each in tab.complaints if "422" not in each]
    tab.end()


def test_a_large_photo_shows_lines_and_the_map_of_each_phrase(browser: Any, server: Running) -> None:
    tab = Tab(browser, server, "/review/plate?sort=name")
    tab.after(lambda: tab.page.locator("[data-photo] .open").nth(5).click())
    large = tab.page.locator("#large")
    large.locator("[data-mask]").wait_for()
    whole = large.locator("[data-map]").get_attribute("src")
    large.locator("[data-phrase-map]").nth(1).hover()
    tab.page.wait_for_function("document.querySelector('#large [data-map]').src.includes('/media/phrase/')")
    assert tab.server.client.get(large.locator("[data-map]").get_attribute("src")).status_code == 200
    assert "alone" in large.locator("[data-which]").inner_text()
    large.locator("[data-stack]").hover()
    assert large.locator("[data-map]").get_attribute("src") == whole
    sizes = tab.page.evaluate(
        "[...document.querySelectorAll('#large [data-stack] img')].map(e => [e.clientWidth, e.clientHeight])"
    )
    assert all(abs(each[0] - sizes[0][0]) <= 1 and abs(each[1] - sizes[0][1]) <= 1 for each in sizes)
    large.locator("[data-overlay]").evaluate(
        "e => { e.value = 10; e.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    assert tab.page.evaluate("getComputedStyle(document.querySelector('#large [data-map]')).opacity") == "0.1"
    large.locator('[data-show="mask"]').uncheck()
    assert not large.locator("[data-mask]").is_visible()
    tab.after(lambda: tab.keys("Escape"))
    assert not large.is_visible()
    tab.end()


def test_everything_works_from_the_keyboard(browser: Any, server: Running) -> None:
    tab = Tab(browser, server, "/review/plate?v=1")
    tab.keys("j", "j")
    tab.after(lambda: tab.keys(" "))
    tab.after(lambda: tab.keys("l"))
    assert "changed" in tab.page.locator("#p-dent").inner_text()
    assert "locked" in tab.page.locator("#p-dent").inner_text()
    assert tab.page.locator("#p-dent .switch").get_attribute("aria-checked") == "false"
    tab.keys("k")
    tab.after(lambda: tab.keys("x"))
    assert "rejected" in tab.page.locator("#p-blot").inner_text()
    tab.after(lambda: tab.keys("a"))
    assert "accepted" in tab.page.locator("#p-blot").inner_text()
    tab.keys("e")
    tab.page.keyboard.type("jjz rust")  # letters are letters while one types
    tab.after(lambda: tab.keys("Enter"))
    assert "jjz rust" in tab.page.locator("#p-blot").inner_text()
    tab.after(lambda: tab.keys("z"))
    assert "jjz rust" not in tab.page.locator("#p-blot").inner_text()
    tab.keys("ArrowRight")
    tab.after(lambda: tab.keys("Enter"))
    first = tab.page.locator("#large .name").inner_text()
    tab.after(lambda: tab.keys("ArrowRight"))
    assert tab.page.locator("#large .name").inner_text() != first
    tab.keys("j")
    assert tab.page.locator("[data-phrase-map].current").count() == 1
    tab.after(lambda: tab.keys("Escape"))
    tab.keys("?")
    tab.page.locator("#help", has_text="save as a new version").wait_for()
    tab.keys("Escape")
    tab.keys("s")
    tab.page.locator("#save").wait_for()
    tab.end()


def test_marks_give_an_auroc_and_lines_of_jsonl(browser: Any, workplace: Path) -> None:
    photos = str(workplace / "data" / "plate" / "test")
    marks = workplace / "judged.jsonl"
    settings = tiny_settings(workplace, photos=(photos,), category="plate", marks=marks)
    with serving(settings) as server:
        tab = Tab(browser, server, "/judge/plate?v=1")
        assert tab.page.locator("[data-auroc]").count() == 0
        tab.after(lambda: tab.page.locator("[data-photo] [data-mark=good]").nth(5).click())
        tab.page.locator("[data-photo] [data-mark=good][aria-pressed=true]").wait_for()
        tab.keys("ArrowLeft", "d")
        tab.page.locator("#verdicts [data-auroc]", has_text="1.000").wait_for()
        tab.page.locator(".gains li").first.wait_for()
        assert tab.page.locator(".gains li").count() == 4
        slider = tab.page.locator("[data-threshold]")
        for edge, alarms, misses in (("min", "1", "0"), ("max", "0", "1")):
            slider.evaluate(f"e => {{ e.value = e.{edge}; e.dispatchEvent(new Event('input', {{bubbles: true}})); }}")
            counted = tab.page.locator("[data-alarms]").inner_text(), tab.page.locator("[data-misses]").inner_text()
            assert counted == (alarms, misses)
        tab.after(lambda: tab.page.locator("[data-photo] .open").first.click())
        tab.after(lambda: tab.page.locator("#large [data-mark=wrong]").first.click())
        tab.page.locator("#large [data-mark=wrong][aria-pressed=true]").wait_for()
        tab.end()
    lines = [json.loads(line) for line in marks.read_text().splitlines()]
    assert [line["label"] for line in lines] == ["good", "defective", "wrong"]
    assert lines[2]["phrase"] in TEXTS.values()
    assert all(line["by"] == "Ada" and len(line["photo"]["sha256"]) == 64 for line in lines)
    assert Path(lines[0]["photo"]["path"]).is_file()


def test_two_versions_stand_side_by_side(browser: Any, server: Running, workplace: Path) -> None:
    base = Store(workplace / "library").load("plate@1")
    fewer = tuple(each.model_copy(update={"enabled": each.id == "scuff"}) for each in base.anomalies)
    new = Store(workplace / "library").save(base.revised(anomalies=fewer, parent=1))
    tab = Tab(browser, server, f"/compare/plate?a=1&b={new.version}")
    changes = [
        abs(float(text.split()[1].replace("\N{MINUS SIGN}", "-")))
        for text in tab.page.locator("[data-photo] .change").all_inner_texts()
    ]
    assert changes
    assert changes == sorted(changes, reverse=True)
    assert tab.page.locator(".diff.switched-off").count() == 3
    assert tab.page.locator("[data-photo]").first.locator("img.map").count() == 2
    tab.end()


def test_what_people_and_models_write_is_shown_as_text(browser: Any, server: Running, workplace: Path) -> None:
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'--> dent"
    library = Store(workplace / "library")
    entry = Anomaly(id="attack", text=attack, family=attack, part=attack, note=attack)
    library.save(DescriptionFile(category="hostile", object_name="<b>plate</b>", anomalies=(entry,), reviewer=attack))
    for path in ("/review/hostile", "/judge/hostile", "/compare/hostile", "/"):
        page = browser.new_page()
        said: list[str] = []
        page.on("dialog", lambda dialog, said=said: (said.append(dialog.message), dialog.dismiss()))
        page.goto(server.url + path)
        assert said == []
        assert page.locator("main script, main img[src=x], h1 b").count() == 0
        if path == "/review/hostile":
            assert attack in page.locator("#p-attack .text").inner_text()
        page.close()
    tab = Tab(browser, server, "/review/plate?v=1")
    tab.page.locator("#new-phrase").fill(attack)
    tab.after(lambda: tab.page.locator(".add button").click())
    assert attack in tab.page.locator("[data-phrase]").last.inner_text()
    tab.end()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_are_readable_and_nothing_comes_from_elsewhere(browser: Any, server: Running, scheme: str) -> None:
    tab = Tab(
        browser, server, "/review/plate?v=1&do=off~crack", color_scheme=scheme, viewport={"width": 1024, "height": 768}
    )
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for selector in (
        ".text",
        ".facts-line span",
        ".note",
        ".tag",
        ".change",
        ".primary",
        ".bar a",
        ".name",
        ".lint",
        "h1",
    ):
        assert tab.page.evaluate(CONTRAST, selector) >= 4.5, selector
    before = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.keys("t")
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    tab.end()


def test_home_lists_products_and_what_cannot_be_read(browser: Any, server: Running, workplace: Path) -> None:
    broken = workplace / "library" / "broken" / "v1.yaml"
    broken.parent.mkdir(exist_ok=True)
    broken.write_text("anomalies: [")
    page = browser.new_page()
    page.goto(server.url)
    assert page.locator("tr[data-name^=plate]").inner_text().split("\t")[4].strip() == "6"
    assert "v1.yaml: line" in page.locator("tr[data-name^=broken]").inner_text()
    page.locator("[data-find]").fill("plat")
    page.locator("tr[data-name^=broken]").wait_for(state="hidden")
    page.close()
    broken.unlink()
