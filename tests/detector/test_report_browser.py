"""The reports in a real browser: sorting, filtering, pages, themes, keys, and nothing from elsewhere."""

from pathlib import Path

import pytest
from PIL import Image

from detector.report.detections import write_html
from tests.support.browser import chromium
from tests.support.detecting import row_of

pytestmark = pytest.mark.slow
EVIL = '<img src=x onerror="window.evil=1"><script>window.evil=1</script>'
COUNT = 1203


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run")
    Image.new("RGB", (80, 40), "teal").save(out / "map.png")
    rows = [
        {
            **row_of(heatmap="map.png", path=f"shots/{'a' if index % 2 else 'b'}/part {index}.png"),
            "score": index / COUNT,
            "verdict": "anomalous" if index >= 1200 else "good",
            "descriptions": [{"id": "d", "text": EVIL if index == 5 else f"dent {index % 3}", "similarity": 0.1}],
        }
        for index in range(COUNT)
    ]
    write_html(out / "report.html", rows, [], {"title": "Detections, gear@1", "threshold": 0.5, "command": EVIL})
    return out


@pytest.fixture
def page(browser, folder):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.complaints, page.asked = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto((folder / "report.html").as_uri())
    yield page
    assert page.complaints == []
    assert all(url.startswith("file:") for url in page.asked), "the page asks nobody for anything"
    context.close()


def names(page) -> list[str]:
    return page.eval_on_selector_all("article h2", "all => all.map(each => each.textContent)")


def test_images_come_a_thousand_at_a_time_highest_first(page):
    assert page.inner_text("output") == "1203 of 1203 shown"
    assert len(names(page)) == 1000
    assert names(page)[0] == "part 1202.png"
    page.click("#pages button:has-text('Next')")
    assert len(names(page)) == 203
    assert page.inner_text("#pages span") == "page 2 of 2"


def test_sorting(page):
    page.select_option("select[name=sort]", "path")
    assert names(page)[:3] == ["part 1.png", "part 3.png", "part 5.png"], "numbers count as numbers, folder a first"
    page.select_option("select[name=sort]", "-score")
    assert names(page)[0] == "part 0.png"


def test_filters(page):
    page.check("input[value=anomalous]")
    assert names(page) == ["part 1202.png", "part 1201.png", "part 1200.png"]
    page.select_option("select[name=folder]", "shots/a")
    assert names(page) == ["part 1201.png"]
    page.check("input[name=show][value='']")
    page.select_option("select[name=folder]", "")
    page.select_option("select[name=nearest]", "dent 1")
    assert page.inner_text("output").startswith("400 of") or page.inner_text("output").startswith("401 of")
    page.select_option("select[name=nearest]", "")
    page.fill("input[name=part]", "part 777.")
    assert names(page) == ["part 777.png"]


def test_markup_in_descriptions_is_text(page):
    page.fill("input[name=part]", "part 5.png")
    assert EVIL in page.inner_text("article tbody")
    page.click("summary")
    assert EVIL in page.inner_text("dl")
    assert page.evaluate("window.evil") is None


def test_an_image_is_enlarged_and_keys_move_on(page):
    page.check("input[value=anomalous]")
    page.click("article img >> nth=0")
    assert page.inner_text("dialog p").startswith("part 1202.png")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("dialog p").startswith("part 1201.png")
    page.keyboard.press("Escape")
    assert not page.evaluate("document.querySelector('dialog').open")
    page.focus("article >> nth=1")
    page.keyboard.press("Enter")
    assert page.inner_text("dialog p").startswith("part 1201.png")


def background(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_dark_and_light(page):
    light = background(page)
    page.emulate_media(color_scheme="dark")
    dark = background(page)
    assert light == "rgb(255, 255, 255)"
    assert dark != light
    page.click("#theme")  # light, whatever the system says
    assert background(page) == light
    page.click("#theme")
    assert background(page) == dark


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two `rgb(r, g, b)`."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["body", ".note", "article h2", ".badge.anomalous", ".badge.good", "th", "output"])
def test_every_text_has_enough_contrast(page, scheme, place):
    page.emulate_media(color_scheme=scheme)
    script = """place => {
        const here = document.querySelector(place);
        let box = here;
        while (getComputedStyle(box).backgroundColor === "rgba(0, 0, 0, 0)") box = box.parentElement;
        return [getComputedStyle(here).color, getComputedStyle(box).backgroundColor];
    }"""
    assert contrast(*page.evaluate(script, place)) >= 4.5


def test_printing_shows_the_images_and_no_controls(page):
    page.emulate_media(media="print")
    assert not page.is_visible("form")
    assert not page.is_visible("#theme")
    assert page.is_visible("article >> nth=0")
