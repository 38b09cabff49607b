"""Which answer of a small model is kept, kinds of defect without examples, and what is counted of drafts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from descriptions.common.errors import SettingsError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from prompt_forge.cli.app import app
from prompt_forge.errors import RecordingError
from prompt_forge.generation.catalog import Product, load_catalog
from prompt_forge.generation.filter import Filter
from prompt_forge.generation.generate import Asker
from prompt_forge.generation.parse import Candidate
from prompt_forge.generation.prepare import check_products
from prompt_forge.generation.specific import LOOKS, look_words, names_part, specificity
from prompt_forge.generation.strategies import RESAMPLES, SAMPLES, Recipe, propose
from prompt_forge.generation.tally import Outcome
from prompt_forge.llm.local import model_file
from prompt_forge.llm.scripted import Scripted
from prompt_forge.llm.types import Completion, Request
from prompt_forge.templating.template import NEUTRAL
from prompt_forge.templating.templates import Templates
from tools.docs import draft_quality

TEMPLATE = Templates.find().get("family-fewshot")
GEAR = Product(category="gear", object_name="gear", parts=("tooth",), families=("crack",))
COPIED, VAGUE, OWN = "thin crack in the tooth", "crack in the tooth", "short branching crack in the tooth"


class Surer(Scripted):
    """Is surer of each answer than of the one before."""

    def complete(self, request: Request) -> Completion:
        answer = super().complete(request)
        return answer.model_copy(update={"mean_logprob": -0.7 + 0.1 * len(self.requests)})


def asked(*answers: str, product: Product = GEAR, model: type[Scripted] = Scripted) -> tuple[Outcome, Scripted]:
    talker = model(answers)
    return propose(talker, Recipe(template=TEMPLATE), product, lambda _: None), talker


def test_what_is_specific() -> None:
    texts = ("dent", "dented rims", "long dent", "long dent in a wheel")
    assert [specificity(text, ["wheel rim"]) for text in texts] == [0, 1, 1, 2]
    assert look_words("Long, dark scratch") == {"long", "dark"}
    assert not look_words("bent and cracked")
    assert not names_part("dented hub", ["rim"])
    listed = " ".join(LOOKS.values()).split()
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("answers", "kept"),
    [
        ((OWN,), OWN),
        ((COPIED, OWN), OWN),
        ((COPIED, "nonsense", OWN), OWN),
        ((COPIED, VAGUE, COPIED), COPIED),
        ((VAGUE, VAGUE, VAGUE), VAGUE),
        (("nonsense", "nonsense", "nonsense", COPIED), COPIED),
    ],
)
def test_the_most_specific_answer_in_own_words_is_kept(answers: tuple[str, ...], kept: str) -> None:
    outcome, model = asked(*answers)
    assert [one.text for one in outcome.candidates] == [kept]
    assert len(model.requests) == len(answers) <= 1 + RESAMPLES
    assert [request.sampling.seed for request in model.requests] == list(range(len(answers)))
    assert [request.sampling.temperature > 0 for request in model.requests] == [False] + [True] * (len(answers) - 1)


def test_the_part_that_was_asked_about_counts() -> None:
    nut = Product(category="nut", object_name="nut", parts=("edge", "thread"), families=("dirt or foreign object",))
    copied = "loose hair stuck to the edge"
    model = Scripted([copied, "loose thread stuck", copied])
    outcome = propose(model, Recipe(template=TEMPLATE, count=1), nut, lambda _: None)
    assert [one.text for one in outcome.candidates] == [copied]


def test_an_accepted_question_costs_no_more_than_its_samples() -> None:
    outcome, model = asked(*[COPIED] * (1 + SAMPLES), model=Surer)
    assert (len(model.requests), [one.text for one in outcome.candidates]) == (1 + SAMPLES, [COPIED])
    assert outcome.rejected == ()


def test_a_product_gets_as_many_further_draws_as_entries_are_wanted() -> None:
    product = GEAR.model_copy(update={"families": ("crack", "rust", "hole")})
    copies = [COPIED, COPIED, COPIED, "brown rust spots on the tooth", "brown rust spots on the tooth"]
    model = Scripted([*copies, "tiny hole in the tooth"])
    outcome = propose(model, Recipe(template=TEMPLATE, count=3), product, lambda _: None)
    assert [one.text for one in outcome.candidates] == [COPIED, copies[3], "tiny hole in the tooth"]
    assert len(model.requests) == 3 + 3


def test_answers_that_were_kept_are_enough_where_nobody_can_be_asked() -> None:
    outcome, model = asked(COPIED)
    assert (len(model.requests), [one.text for one in outcome.candidates]) == (2, [COPIED])
    with pytest.raises(RecordingError, match="request 2 came"):
        asked("nonsense")


def test_between_equals_the_surer_one_is_kept_and_the_others_are_named() -> None:
    copies = ("deep crack in the tooth", "thin crack in the tooth", "long thin crack in the tooth")
    outcome, _ = asked(*copies, model=Surer)
    assert [one.text for one in outcome.candidates] == [copies[2]]
    assert outcome.rejected == tuple((text, f"another answer is more specific: {copies[2]!r}") for text in copies[:2])


def test_a_kind_without_examples_is_asked_with_those_of_several_kinds() -> None:
    product = GEAR.model_copy(update={"families": ("porosity",)})
    outcome, model = asked("large raised lump on the tooth", "fine porous patch on the tooth", product=product)
    assert [(one.text, one.family) for one in outcome.candidates] == [("fine porous patch on the tooth", "porosity")]
    assert outcome.rejected == (("large raised lump on the tooth", "not about porosity"),)
    *turns, question = [turn.content for turn in model.requests[0].messages if turn.role == "user"]
    kinds = {turn.rpartition(": ")[2] for turn in turns}
    assert len(turns) == len(kinds) == NEUTRAL
    assert kinds <= set(TEMPLATE.front.families)
    assert question.endswith("Defect type: porosity")


@pytest.mark.parametrize(
    ("family", "text", "reason"),
    [
        ("sink mark", "shallow sink mark on the tooth", ""),
        ("sink mark", "thin crack in the tooth", "not about sink mark"),
        ("porosity", "porous tooth", ""),
        ("porosity", "porosity", "says too little"),
        ("crack", "porous tooth", "no visible defect"),
    ],
)
def test_an_answer_about_a_kind_without_examples_names_it(family: str, text: str, reason: str) -> None:
    rules = Filter(GEAR, strict=True, own=("sink mark", "porosity"))
    problem = rules.apply(Candidate(text, family))[1]
    assert problem.startswith(reason)
    assert bool(problem) == bool(reason)


def test_kinds_without_examples_are_told_and_only_wordless_ones_refused() -> None:
    askers = [Asker(Scripted([]), Recipe(template=TEMPLATE))]
    wanted = GEAR.model_copy(update={"families": ("crack", "porosity", "scrach")})
    porosity, scrach = check_products(askers, [wanted, wanted])
    assert porosity == (
        "porosity: no examples of its own in template family-fewshot, so it is asked with those of other kinds"
    )
    assert scrach.endswith("did you mean scratch?")
    assert check_products(askers, [load_catalog()["gear"]]) == []
    assert check_products([Asker(Scripted([]), Recipe(template=Templates.find().get("structured")))], [wanted]) == []
    with pytest.raises(SettingsError, match=r"gear: the kind of defect '\?'; expected English words"):
        check_products(askers, [GEAR.model_copy(update={"families": ("crack", "?")})])


def test_the_command_says_which_kinds_have_no_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["generate", "--category", "gear", "--families", "porosity,sink mark,crack", "--dry-run"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    told = [line for line in shown.stderr.splitlines() if "no examples of its own" in line]
    assert [line.partition(":")[0] for line in told] == ["porosity", "sink mark"]
    assert "Defect type: porosity" in shown.stdout


@pytest.mark.slow
def test_the_embedded_model_describes_a_kind_without_examples(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    model_file()
    command = ["generate", "--category", "housing", "--parts", "wall", "--families", "porosity,sink mark"]
    done = CliRunner().invoke(app, [*command, "--descriptions-dir", str(tmp_path / "library")])
    assert done.exit_code == 0, done.output
    texts = Store(tmp_path / "library").load("housing").enabled_texts
    assert all("poro" in text or "sink" in text for text in texts)
    assert all("wall" in text for text in texts)


def test_what_is_counted_of_drafts() -> None:
    texts = (OWN, COPIED, VAGUE, "bent hub")
    entries = [Anomaly(id=f"a{at}", text=text, part="tooth") for at, text in enumerate(texts)]
    draft = DescriptionFile(category="gear", object_name="gear", parts=("tooth",), anomalies=tuple(entries))
    counted = draft_quality.count(draft, TEMPLATE.examples)
    assert counted._asdict() == {
        "products": 1,
        "answers": 0,
        "entries": 4,
        "part": 3,
        "look": 2,
        "specific": 3,
        "both": 2,
        "good": 1,
        "copied": 1,
        "lint": 0,
    }
    assert (counted + counted).row("x") == [
        "x",
        "2",
        "0.0",
        "4.0",
        "75 %",
        "50 %",
        "75 %",
        "50 %",
        "25 %",
        "25 %",
        "0 %",
    ]


def test_the_page_shows_the_counts_of_the_packaged_drafts() -> None:
    page = draft_quality.TARGET.read_text("utf-8")
    counted = draft_quality.packaged_table(sorted(load_catalog()), TEMPLATE.examples)
    assert draft_quality.insert(page, draft_quality.LIBRARY, counted) == page
    assert f"<!-- {draft_quality.FRESH} -->" in page
    with pytest.raises(ValueError, match="lacks"):
        draft_quality.insert("no markers", draft_quality.LIBRARY, counted)
