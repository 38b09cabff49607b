"""Both pages in a real browser: opened as files, sorted, filtered, paged, enlarged, dark, printed, attacked."""

import numpy as np
import pytest
from PIL import Image

from detector.data import Sample
from detector.evaluate.bootstrap import interval
from detector.evaluate.comparison import Evaluation
from detector.evaluate.results import to_document
from detector.evaluate.summary import CategoryResult, Contribution, VariantResult
from detector.metrics import Metrics
from detector.metrics.compute import METRICS
from detector.report.detections import write_detections
from detector.report.evaluation import write_evaluation
from tests.support.browser import Visit, chromium
from tests.support.detecting import row_of

ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script>$\\frac$"
PHOTOS = 2300


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def detections(tmp_path_factory):
    """A page of 2,300 photos in three folders: even numbers are good, the last one is named like an attack."""
    folder = tmp_path_factory.mktemp("detections")
    (folder / "maps").mkdir()
    Image.new("RGB", (300, 120), "teal").save(folder / "maps" / "one.png")
    rows = []
    for number in range(PHOTOS):
        name = ATTACK.replace("/", "") if number == PHOTOS - 1 else f"photo {number}.png"
        near = [{"text": "dent" if number % 5 else ATTACK, "similarity": 0.5}]
        verdict = "anomalous" if number % 2 else "good"
        picture = "maps/one.png" if number < 2000 else None
        path = f"in/{number % 3}/{name}"
        rows.append(row_of(path, number / PHOTOS, verdict=verdict, heatmap=picture, descriptions=near))
    write_detections(folder / "report.html", rows, [], {"title": "Many", "threshold": 0.5, "note": ATTACK})
    return folder / "report.html"


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    """A page of one category with two variants, contributions and misses."""
    folder = tmp_path_factory.mktemp("evaluation")
    Image.new("RGB", (64, 48), "olive").save(folder / "000.png")
    samples = tuple(
        Sample("gear", "test", defect, folder / "000.png") for defect in ("good",) * 6 + (ATTACK.replace("/", ""),) * 6
    )
    worth = tuple(
        Contribution(f"a{number}", text, verdict, value, (value - 0.01, value + 0.02), value / 2, (-0.01, 0.02))
        for number, (text, verdict, value) in enumerate(
            [("dent", "helps", 0.05), (ATTACK, "hurts", -0.04), ("crack", "no evidence", 0.0)]
        )
    )
    variants = []
    for number, name in enumerate(("gear@1", ATTACK)):
        values = dict.fromkeys(METRICS, 0.9 - 0.1 * number)
        draws = {metric: value + np.linspace(-0.01, 0.01, 5) for metric, value in values.items()}
        ranges = {metric: interval(each) for metric, each in draws.items()}
        more = dict.fromkeys(METRICS, (-0.1, (-0.2, -0.05))) if number else {}
        scores = tuple(np.linspace(0, 1, 12) ** (1 + number))
        variants.append(
            VariantResult(name, False, None, "hash", Metrics(values), ranges, more, scores, worth * (not number), draws)
        )
    compared = Evaluation((CategoryResult("gear", samples, tuple(variants), "data"),), (), (ATTACK,), 0, {})
    write_evaluation(
        folder / "report.html", compared, folder / "images", {"Model": "mini"}, to_document(compared)["mean"]
    )
    return folder / "report.html"


def names(visit):
    return visit.page.eval_on_selector_all(
        "article:not([hidden])", "cards => cards.map(card => card.querySelector('h2').textContent)"
    )


def count(visit):
    return visit.page.locator("[data-count]").text_content()


def test_photos_come_in_pages_of_a_thousand(browser, detections):
    visit = Visit(browser, detections)
    assert len(names(visit)) == 1000
    assert visit.shown("[data-place]") == ["page 1 of 3"]
    next_page = visit.page.get_by_role("button", name="Next →")
    next_page.click()
    visit.wait_for("[data-place]", "page 2 of 3")
    assert names(visit)[0] == f"photo {PHOTOS - 1001}.png"
    assert next_page.evaluate("button => button.getBoundingClientRect().bottom") < 200, "it stays where it was"
    next_page.click()
    visit.wait_for("[data-place]", "page 3 of 3")
    assert len(names(visit)) == 300
    assert next_page.is_disabled()
    loaded = [url for url in visit.requests if url.endswith(".png")]
    assert len(set(loaded)) == 1
    visit.require_quiet()


def test_photos_are_sorted_and_filtered(browser, detections):
    visit = Visit(browser, detections)
    assert names(visit)[1:3] == ["photo 2298.png", "photo 2297.png"], "the highest score first"
    visit.page.select_option("[name=sort]", "score-up")
    assert names(visit)[:2] == ["photo 0.png", "photo 1.png"]
    visit.page.select_option("[name=sort]", "name")
    assert names(visit)[:3] == ["photo 0.png", "photo 3.png", "photo 6.png"], "by folder, then by number"
    visit.page.select_option("[name=sort]", "verdict")
    assert names(visit)[1] == "photo 2297.png"
    visit.page.check("[name=verdict][value=good]")
    assert count(visit) == "1150 of 2300"
    assert visit.shown("[data-place]") == ["page 1 of 2"]
    visit.page.select_option("[name=folder]", "2")
    assert count(visit) == "383 of 2300"
    assert not visit.page.locator("[data-pager]").is_visible()
    visit.page.select_option("[name=phrase]", ATTACK)
    assert count(visit) == "76 of 2300"
    visit.page.fill("[name=text]", "PHOTO 110.")
    assert names(visit) == ["photo 110.png"]
    visit.page.fill("[name=text]", "nothing like this")
    assert (names(visit), count(visit)) == ([], "0 of 2300")
    visit.require_quiet()


def test_pictures_are_enlarged_by_mouse_and_keys(browser, detections):
    visit = Visit(browser, detections)
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("photo 19")
    assert names(visit)[:2] == ["photo 1999.png", "photo 1998.png"]
    dialog = visit.page.locator("[data-zoom-dialog]")
    visit.page.locator("article a").first.click()
    dialog.wait_for()
    assert "photo 1999.png · 0.869 · anomalous" in dialog.inner_text()
    visit.page.keyboard.press("ArrowRight")
    assert "photo 1998.png" in dialog.inner_text()
    visit.page.keyboard.press("ArrowLeft")
    visit.page.keyboard.press("ArrowLeft")
    assert "photo 19.png" in dialog.inner_text(), "from the first back to the last"
    visit.page.wait_for_function("document.querySelector('[data-zoom-image]').naturalWidth == 300")
    visit.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert visit.page.evaluate("document.activeElement.closest('article').dataset.name") == "in/1/photo 19.png"
    visit.require_quiet()


def test_names_and_words_are_text(browser, detections, evaluation):
    for path in (detections, evaluation):
        visit = Visit(browser, path)
        assert ATTACK in visit.page.evaluate("document.body.textContent")
        assert visit.page.locator("img[onerror]").count() == 0
        visit.page.wait_for_timeout(100)
        visit.require_quiet()


def background(visit):
    return visit.page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_light_dark_and_paper(browser, detections, evaluation):
    light, dark = "rgb(255, 255, 255)", "rgb(14, 18, 22)"
    for path in (detections, evaluation):
        visit = Visit(browser, path)
        assert background(visit) == light
        visit.page.click("[data-theme-toggle]")
        assert background(visit) == dark
        ink = "text => getComputedStyle(text).fill"
        assert visit.page.eval_on_selector(".chart text", ink) == "rgb(232, 237, 242)", "charts follow"
        visit.page.emulate_media(media="print")
        assert background(visit) == light
        assert visit.shown(".theme, .controls, .pager") == []
        visit.require_quiet()
        visit = Visit(browser, path, color_scheme="dark")
        assert background(visit) == dark
        visit.require_quiet()


def test_tables_are_sorted(browser, evaluation):
    visit = Visit(browser, evaluation)
    visit.page.click("summary:has-text('as a table')")
    table = visit.page.locator("table.contributions")

    def column():
        return [row.locator("td").first.inner_text() for row in table.locator("tbody tr").all()]

    heading = table.get_by_role("button", name="image AUROC")
    heading.click()
    assert column() == ["dent", "crack", ATTACK]
    heading.click()
    assert column() == [ATTACK, "crack", "dent"]
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    table.get_by_role("button", name="description").click()
    table.get_by_role("button", name="description").click()
    assert column() == [ATTACK, "crack", "dent"], "names from A to Z"
    visit.require_quiet()


def test_pages_are_readable_without_a_script(browser, detections):
    visit = Visit(browser, detections, java_script_enabled=False)
    assert visit.page.locator("article").count() == PHOTOS
    assert not visit.page.locator("[data-controls]").is_visible()
    assert visit.page.locator("article a").nth(300).get_attribute("href") == "maps/one.png"


def test_without_a_browser_there_is_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match=r"^no chromium; install it with `apt-get install chromium`$"):
        chromium().__enter__()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no chromium"):
        chromium().__enter__()


def luminance(colour):
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_text_has_the_contrast_of_wcag_aa(browser, evaluation):
    for scheme in ("light", "dark"):
        visit = Visit(browser, evaluation, color_scheme=scheme)

        def colour(name, page=visit.page):
            script = (
                "name => {document.body.style.color = `var(--${name})`; return getComputedStyle(document.body).color}"
            )
            return [int(part) for part in page.evaluate(script, name)[4:-1].split(",")]

        grounds = [colour("paper"), colour("panel")]
        for name in ("ink", "muted", "link", "good", "anomalous", *(f"series-{number}" for number in range(8))):
            for ground in grounds:
                low, high = sorted((luminance(colour(name)), luminance(ground)))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, name)
        for name in ("good", "anomalous"):
            low, high = sorted((luminance(colour(name)), luminance(colour("on-badge"))))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, name)
        visit.require_quiet()
