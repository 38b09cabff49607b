"""From a category to a file, with scripted models."""

from pathlib import Path

import pytest

from descriptions.common.errors import SettingsError
from descriptions.common.refs import slug
from descriptions.format.schema import MAX_ENTRIES, NORMAL_STATES, Anomaly, DescriptionFile
from descriptions.store import PACKAGED, Store
from prompt_forge.errors import AuthenticationError, EndpointError, IncompleteError, ModelError, RejectedAnswerError
from prompt_forge.generation.catalog import Product, choose, load_catalog
from prompt_forge.generation.generate import Asker, Result, Run
from prompt_forge.generation.prepare import GenerateSettings, Wanted, pick_products, pick_template, remarks
from prompt_forge.generation.strategies import RESAMPLES, SAMPLES, Recipe, first_requests, propose
from prompt_forge.llm.scripted import Scripted
from prompt_forge.templating.templates import Templates
from prompt_forge.usage import Usage
from tests.support.answers import GOOD, answer

TEMPLATES = Templates.find()
KNOWN = load_catalog()


def recipe(template: str = "structured", **changes: object) -> Recipe:
    return Recipe(template=TEMPLATES.get(template), **changes)


def run(
    store: Store,
    *answers: str | ModelError,
    names: tuple[str, ...] = ("capsule",),
    force: bool = False,
    **changes: object,
) -> tuple[list[Result], Scripted]:
    model = Scripted(answers)
    going = Run([Asker(model, recipe(**changes))], store, force=force, tick=lambda *_: None)
    return list(going.over([choose(KNOWN, name) for name in names])), model


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "library")


def test_a_category_becomes_a_draft_with_its_origin(store: Store) -> None:
    (result,), model = run(store, GOOD)
    saved = store.load("capsule@1")
    assert (result.status, result.ref, result.enabled, result.calls) == ("written", "capsule@1", 3, 1)
    assert saved.enabled_texts == ("long dark scratch", "round dent", "brown stain")
    assert [entry.id for entry in saved.anomalies] == ["scratch-1", "dent-1", "stain-1"]
    assert {entry.source for entry in saved.anomalies} == {"llm"}
    assert (saved.status, saved.parent, saved.parts) == ("draft", None, KNOWN["capsule"].parts)
    assert saved.normal == (*NORMAL_STATES, "smooth glossy {}")
    origin = saved.provenance
    assert origin is not None
    assert (origin.model, origin.endpoint, origin.template) == ("scripted", "scripted", "structured")
    assert model.requests[0].digest.startswith(origin.requests[0])
    assert origin.usage.completion_tokens > 0


def test_the_same_recipe_is_not_asked_twice(store: Store) -> None:
    run(store, GOOD)
    (again,), model = run(store)
    assert (again.status, again.ref, model.requests) == ("present", "capsule@1", [])
    (other,), _ = run(store, GOOD, count=5)
    assert other.status == "unchanged"
    (seeded,), _ = run(store, answer("one more crack"), seed=7)
    assert (seeded.status, store.load("capsule").parent) == ("written", 1)


def test_an_identical_answer_makes_no_new_version(store: Store) -> None:
    run(store, GOOD)
    (again,), model = run(store, GOOD, force=True)
    assert (again.status, len(model.requests), store.versions("capsule")) == ("unchanged", 1, [1])


def test_what_people_locked_or_rejected_survives(store: Store) -> None:
    run(store, GOOD)
    first = store.load("capsule")
    scratch, dent, stain = first.anomalies
    mine = (scratch.model_copy(update={"locked": True}), dent.model_copy(update={"enabled": False}), stain)
    store.save(first.revised(anomalies=mine, parent=1, normal=("perfect {}",)))
    run(store, answer("dark long scratch", "round dent", "deep crack"), force=True)
    third = store.load("capsule@3")
    assert third.enabled_texts == ("long dark scratch", "deep crack")
    assert third.anomalies[:2] == mine[:2]
    assert (third.normal, third.parent) == (("perfect {}",), 2)


def test_what_people_wrote_survives_and_is_asked_about(store: Store) -> None:
    run(store, GOOD)
    first = store.load("capsule")
    scratch, *others = first.anomalies
    mine = (scratch.model_copy(update={"text": "silver scratch", "source": "human"}), *others)
    store.save(first.revised(anomalies=mine, parent=1, object_name="gel capsule", parts=("cap", "rim")))
    (left,), model = run(store)
    assert (left.status, left.ref, model.requests) == ("present", "capsule@2", [])
    (_,), model = run(store, answer("deep crack"), force=True)
    third = store.load("capsule@3")
    assert (third.object_name, third.parts) == ("gel capsule", ("cap", "rim"))
    assert third.enabled_texts == ("silver scratch", "deep crack")
    assert "gel capsule" in model.requests[0].messages[-1].content
    assert "rim" in model.requests[0].messages[-1].content
    (again,), _ = run(store)
    assert (again.status, again.ref) == ("present", "capsule@3")


def test_words_that_the_user_gives_go_before_saved_ones(store: Store, tmp_path: Path) -> None:
    run(store, GOOD)
    saved = store.load("capsule").revised(object_name="gel capsule", parts=("cap", "rim"))
    file = tmp_path / "mine.yaml"
    file.write_text("capsule: {parts: [hinge]}\n")
    for wanted, expected in (
        (Wanted(["capsule"]), ("gel capsule", ("cap", "rim"))),
        (Wanted(["capsule"], parts=["lid"]), ("gel capsule", ("lid",))),
        (Wanted(["capsule"], object_name="pod"), ("pod", ("cap", "rim"))),
        (Wanted(file=file), ("gel capsule", ("hinge",))),
        (Wanted(file=file, object_name="pod"), ("pod", ("hinge",))),
    ):
        product = pick_products(wanted)[0].after(saved)
        assert (product.object_name, product.parts) == expected
    assert KNOWN["capsule"].after(None) == KNOWN["capsule"]
    assert KNOWN["capsule"].after(saved.revised(parts=())).parts == KNOWN["capsule"].parts


def test_parts_that_are_gone_are_not_asked_about() -> None:
    gear = Product(
        category="gear", object_name="gear", parts=("hub",), only={"crack": ("tooth", "hub"), "dent": ("rim",)}
    )
    assert (gear.targets("crack"), gear.targets("dent"), gear.targets("rust")) == (("hub",), ("hub",), ("hub",))


def test_a_full_version_takes_no_more(store: Store) -> None:
    full = tuple(Anomaly(id=f"a{number}", text=f"kind {number} mark") for number in range(MAX_ENTRIES))
    store.save(DescriptionFile(category="capsule", object_name="capsule", anomalies=full, parts=("cap",)))
    (result,), _ = run(store, GOOD)
    assert (result.status, result.entries, result.error) == ("unchanged", MAX_ENTRIES, None)


def test_a_failure_is_reported_and_the_rest_kept(store: Store) -> None:
    names = ("capsule", "pill", "screw")
    results, _ = run(store, GOOD, EndpointError("the server failed"), answer("bent tip"), names=names)
    assert [result.status for result in results] == ["written", "failed", "written"]
    assert results[1].error == "the server failed"
    rerun, model = run(store, GOOD, names=names)
    assert [result.status for result in rerun] == ["present", "written", "present"]
    assert len(model.requests) == 1


def test_a_hopeless_failure_stops_the_run(store: Store) -> None:
    results, model = run(store, AuthenticationError("the key is wrong"), names=("capsule", "pill"))
    assert results[1].error == "not tried: the key is wrong"
    assert len(model.requests) == 1


def test_many_at_once(store: Store) -> None:
    model = Scripted([GOOD] * len(KNOWN))
    results = list(Run([Asker(model, recipe())], store, tick=lambda *_: None).over(list(KNOWN.values()), 8))
    assert {result.status for result in results} == {"written"}
    assert store.categories() == sorted(KNOWN)


def test_an_ensemble_counts_who_agrees(store: Store) -> None:
    one, two = Scripted([answer("deep crack", "round dent")], "one"), Scripted([answer("cracks deep", "dust")], "two")
    askers = [Asker(one, recipe()), Asker(two, recipe())]
    (result,) = Run(askers, store, tick=lambda *_: None).over([KNOWN["capsule"]])
    saved = store.load("capsule")
    assert result.calls == 2
    assert [(entry.text, entry.support) for entry in saved.anomalies] == [
        ("deep crack", 2),
        ("round dent", 1),
        ("dust", 1),
    ]
    assert saved.provenance is not None
    assert saved.provenance.model == "one + two"


def test_a_wrong_answer_is_asked_again_then_refused() -> None:
    outcome = propose(Scripted(["no JSON", GOOD]), recipe(), KNOWN["capsule"], print)
    assert len(outcome.candidates) == 3
    with pytest.raises(RejectedAnswerError, match="3 times"):
        propose(Scripted(["no"] * 3), recipe(), KNOWN["capsule"], print)
    with pytest.raises(RejectedAnswerError, match="nothing usable"):
        propose(Scripted([answer("damage", "other")]), recipe(), KNOWN["capsule"], print)


def test_the_question_of_the_paper_is_answered_by_a_list() -> None:
    outcome = propose(
        Scripted(["1. Cracks\n2. Brown spots\n3. Bad smell"]), recipe("filo-question"), KNOWN["pill"], print
    )
    assert [one.text for one in outcome.candidates] == ["cracks", "brown spots"]
    assert outcome.rejected[0][0] == "bad smell"


def test_hostile_answers_stay_data(store: Store) -> None:
    hostile = answer("{{ 7*7 }} crack", "../../etc/passwd", "\x1b[31mred spot\x1b[0m", "x" * 150, "a\ncrack: [")
    (result,), _ = run(store, hostile)
    saved = store.load("capsule")
    assert result.status == "written"
    assert set(saved.enabled_texts) == {"red spot"}
    assert [path.name for path in store.root.rglob("*") if path.is_file()] == ["v1.yaml"]


def test_a_rejected_phrase_is_drawn_again_with_another_seed() -> None:
    product = Product(category="gear", object_name="gear", parts=("tooth",), families=("crack",))
    model = Scripted(["nonsense", "short deep crack in the tooth of the gear"])
    outcome = propose(model, recipe("family-fewshot"), product, print)
    assert [(one.text, one.family, one.part) for one in outcome.candidates] == [
        ("short deep crack in the tooth", "crack", "tooth")
    ]
    assert [(request.sampling.temperature, request.sampling.seed) for request in model.requests] == [(0.0, 0), (0.7, 1)]
    assert first_requests(model.model, recipe("family-fewshot"), product) == model.requests[:1]


def test_a_phrase_that_was_cut_short_is_drawn_again() -> None:
    product = Product(category="gear", object_name="gear", parts=("tooth",), families=("crack",))
    cut = IncompleteError("cut at 32 tokens", usage=Usage(prompt_tokens=10, completion_tokens=32))
    outcome = propose(Scripted([cut, "deep crack in the tooth of the gear"]), recipe("family-fewshot"), product, print)
    assert (len(outcome.candidates), outcome.calls, len(outcome.requests)) == (1, 2, 2)
    assert outcome.usage.total > 42


@pytest.mark.parametrize("bad", [IncompleteError("the answer was cut at 24 tokens"), "nonsense", ""])
def test_a_phrase_that_never_succeeds_does_not_fail_the_category(store: Store, bad: str | ModelError) -> None:
    product = Product(category="gear", object_name="gear", parts=("tooth",), families=("crack", "hole"))
    model = Scripted([bad] * (1 + RESAMPLES) + ["small hole in the tooth"])
    (result,) = Run([Asker(model, recipe("family-fewshot"))], store).over([product])
    assert (result.status, result.rejected, result.calls) == ("written", 4, 5)
    assert store.load("gear").enabled_texts == ("small hole in the tooth",)


def test_wording_that_is_copied_from_an_example_says_so(store: Store) -> None:
    product = Product(category="gear", object_name="gear", parts=("tooth", "hub"), families=("crack", "hole"))
    answers = ["deep crack in the tooth", "small round hole in the hub with a jagged rim"]
    drawn = [answers[0]] * (1 + SAMPLES) + answers[1:]
    list(Run([Asker(Scripted(drawn), recipe("family-fewshot", count=2))], store).over([product]))
    notes = {entry.text: entry.note for entry in store.load("gear").anomalies}
    assert notes == {
        answers[0]: "wording of the template's example: deep crack in the wall of the mug",
        answers[1]: "",
    }


def test_nothing_but_cut_phrases_fail_with_the_reason() -> None:
    product = Product(category="gear", object_name="gear", parts=("tooth",), families=("crack",))
    cut = [IncompleteError("the answer was cut at 24 tokens")] * (1 + RESAMPLES)
    with pytest.raises(RejectedAnswerError, match=r"nothing usable about gear \(the answer was cut at 24 tokens\)"):
        propose(Scripted(cut), recipe("family-fewshot"), product, print)


def test_the_catalog_is_whole() -> None:
    families = TEMPLATES.get("family-fewshot").front.families
    assert sorted(KNOWN) == Store(PACKAGED, read_only=True).categories()
    for name, product in KNOWN.items():
        assert name == slug(name)
        assert product.normal, name
        assert product.parts, name
        assert len(product.families) >= 7, name
        assert set(product.families) <= set(families), name
        assert set(product.only) <= set(product.families), name
        assert {part for parts in product.only.values() for part in parts} <= set(product.parts), name


def test_products_are_picked_once_and_hints_win(tmp_path: Path) -> None:
    listed = tmp_path / "mine.txt"
    listed.write_text("Metal nut\n# comment\ngear\n\ngear\n")
    assert [one.category for one in pick_products(Wanted(["gear"], file=listed))] == ["gear", "metal_nut"]
    assert pick_products(Wanted(["metal_nut"]))[0] == KNOWN["metal_nut"]
    gear = pick_products(Wanted(["gear"], object_name="Spur Gear", parts=[" Tooth", ""], families=["crack"]))[0]
    assert (gear.object_name, gear.parts, gear.families) == ("spur gear", ("tooth",), ("crack",))
    detailed = tmp_path / "mine.yaml"
    detailed.write_text("gear: {parts: [tooth], families: [crack]}\n")
    assert pick_products(Wanted(file=detailed))[0].targets("crack") == ("tooth",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gear: [tooth]", "expected a mapping"),
        ("gear: {part: [tooth]}", "did you mean parts"),
        ("gear: {parts: 3}", "gear.parts"),
    ],
)
def test_a_wrong_list_of_products_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=told):
        pick_products(Wanted(file=path))


def test_wrong_wishes_are_told() -> None:
    with pytest.raises(SettingsError, match="no category given"):
        pick_products(Wanted())
    with pytest.raises(SettingsError, match="with 2 categories"):
        pick_products(Wanted(["a", "b"], parts=["x"]))
    with pytest.raises(SettingsError, match="object_name"):
        pick_products(Wanted(["a"], object_name="x" * 99))
    with pytest.raises(SettingsError, match="leave --strategy out"):
        pick_template(GenerateSettings(template="structured", strategy="family"), embedded=True)


def test_an_unknown_product_is_remarked_on() -> None:
    products = pick_products(Wanted(["capsul", "gyroscope", "capsule"]))
    typo, unknown = remarks(products)
    assert "did you mean capsule?" in typo
    assert "--parts a,b" in unknown


def test_the_template_suits_the_model() -> None:
    picked = [
        pick_template(GenerateSettings(), embedded=True),
        pick_template(GenerateSettings(), embedded=False),
        pick_template(GenerateSettings(strategy="structured"), embedded=True),
        pick_template(GenerateSettings(template="filo-question"), embedded=True),
    ]
    assert [one.id for one in picked] == ["family-fewshot", "structured", "structured", "filo-question"]
