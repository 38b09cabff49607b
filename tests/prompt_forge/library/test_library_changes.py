"""edit, review, import-filo and export, run as a person runs them."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from descriptions.common.errors import BadReferenceError, ForgeError, SettingsError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from prompt_forge.cli.app import app
from prompt_forge.library.editing import EditError
from prompt_forge.library.filo_import import ImportFiLoError, choose, find, to_descriptions

ENTRIES = (
    Anomaly(id="crack", text="deep crack in the shell", source="llm"),
    Anomaly(id="ink", text="blue ink smear", source="llm", locked=True),
    Anomaly(id="print", text="missing print", source="llm"),
    Anomaly(id="dent", text="round dent", source="llm", enabled=False),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "library")
    store.save(DescriptionFile(category="capsule", object_name="capsule", anomalies=ENTRIES))
    return store


def prompt_forge(store: Store, *args: object, stdin: str | None = None):
    result = CliRunner().invoke(app, [*map(str, args), "--descriptions-dir", str(store.root)], input=stdin)
    if isinstance(result.exception, ForgeError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def copies(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "copies").rglob("*.yaml")]


def test_an_edit_becomes_the_next_version(store: Store, editor, tmp_path: Path) -> None:
    editor("text = text.replace('missing print', 'missing print  # as on line 3').replace('blue ink', 'black ink')")
    assert "saved capsule@2" in prompt_forge(store, "edit", "capsule").stdout
    saved = store.load("capsule")
    assert saved.parent == 1
    assert [entry.source for entry in saved.anomalies] == ["llm", "human", "llm", "llm"]
    assert "# as on line 3" in store.path("capsule", 2).read_text()
    assert copies(tmp_path) == []


def test_an_edit_that_changes_nothing_saves_nothing(store: Store, editor, tmp_path: Path) -> None:
    editor("pass")
    assert "nothing changed" in prompt_forge(store, "edit", "capsule").stderr
    assert store.versions("capsule") == [1]
    assert copies(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("text = text.replace('text: deep', 'txet: deep')", "did you mean text.*copy it away"),
        ("text = text.replace('category: capsule', 'category: pill')", "'pill'; expected capsule"),
    ],
)
def test_a_broken_edit_is_kept(store: Store, editor, tmp_path: Path, change: str, message: str) -> None:
    editor(change)
    with pytest.raises(EditError, match=message):
        prompt_forge(store, "edit", "capsule")
    assert store.versions("capsule") == [1]
    assert copies(tmp_path) == ["capsule-from-v1.yaml"]


def test_what_was_typed_outlives_a_library_that_cannot_be_written(
    store: Store, editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("descriptions.store.PACKAGED", store.root)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "descriptions").write_text("a file")
    editor("text = text.replace('round dent', 'oval dent')")
    failed = CliRunner().invoke(app, ["edit", "capsule"])
    assert isinstance(failed.exception, EditError)
    (copy,) = (tmp_path / "copies").rglob("*.yaml")
    assert f"cannot be written to (Not a directory); what you typed is in {copy}" in str(failed.exception)
    assert "oval dent" in copy.read_text()


@pytest.mark.parametrize(("again", "versions"), [(True, [1, 2]), (False, [1])])
def test_at_a_terminal_a_broken_edit_can_be_opened_again(
    store: Store, editor, monkeypatch: pytest.MonkeyPatch, again: bool, versions: list[int]
) -> None:
    editor("text = text.replace('txet:', 'text:') if 'txet' in text else text.replace('text: deep', 'txet: steep')")
    monkeypatch.setattr("prompt_forge.cli.edit._at_a_terminal", lambda: True)
    if again:
        prompt_forge(store, "edit", "capsule", stdin="y\n")
    else:
        with pytest.raises(EditError):
            prompt_forge(store, "edit", "capsule", stdin="n\n")
    assert store.versions("capsule") == versions


@pytest.mark.parametrize(("command", "message"), [("no-such-editor-here", "set EDITOR"), ("false", "ended with 1")])
def test_an_editor_that_fails(store: Store, monkeypatch: pytest.MonkeyPatch, command: str, message: str) -> None:
    monkeypatch.setenv("VISUAL", command)
    with pytest.raises(SettingsError, match=message):
        prompt_forge(store, "edit", "capsule")


def test_a_whole_review_makes_a_reviewed_version(store: Store) -> None:
    answers = "l\ne\n\nmissing white print\nwhat\nr\n"
    result = prompt_forge(store, "review", "capsule", "--label", "reviewed", stdin=answers)
    assert "saved capsule@2 (reviewed, 3 decided, 3 enabled)" in result.stdout
    assert "capsule@2 is now capsule@reviewed" in result.stdout
    assert "the text is empty" in result.stderr or "at least 1 character" in result.stderr
    assert "is none of a, r, e, o, l, s, b, n, q; nothing was decided" in result.stderr
    saved = store.load("capsule@reviewed")
    assert (saved.status, saved.parent) == ("reviewed", 1)
    assert [entry.locked for entry in saved.anomalies] == [True, True, False, False]
    assert saved.anomalies[2].text == "missing white print"
    assert saved.anomalies[2].source == "human"


def test_a_wrong_label_is_refused_before_the_work_of_a_review(store: Store) -> None:
    with pytest.raises(BadReferenceError, match="label 'latest'"):
        prompt_forge(store, "review", "capsule", "--label", "latest", stdin="a\na\na\na\n")
    assert store.versions("capsule") == [1]


@pytest.mark.parametrize("answers", ["r\nq\n", "r\n", "r\ns\ns\n"])
def test_a_review_that_stops_early_keeps_its_decisions(store: Store, answers: str) -> None:
    result = prompt_forge(store, "review", "capsule", "--label", "reviewed", stdin=answers)
    assert "go on with" in result.stderr
    assert store.load("capsule").status == "draft"
    assert store.load("capsule").enabled_texts == ("blue ink smear", "missing print")
    assert "reviewed" not in store.labels("capsule")


def test_an_interrupted_review_keeps_its_decisions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["r"])

    def ask(_: str) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("prompt_forge.cli.review._ask", ask)
    result = CliRunner().invoke(app, ["review", "capsule", "--descriptions-dir", str(store.root)])
    assert result.exit_code == 130
    assert store.load("capsule@2").enabled_texts == ("blue ink smear", "missing print")


def test_a_review_without_decisions_saves_nothing(store: Store) -> None:
    assert "nothing decided" in prompt_forge(store, "review", "capsule", stdin="").stderr
    assert store.versions("capsule") == [1]


RELEASE = """
raise SystemExit("a checkout is read, never run")
PATHS = {"mvtec": "data/mvtec", "visa": "data/visa"}
class Model:
    def __init__(self):
        self.details = {
            "metal nut": "bent corner, deep scratch.,  orange rust, deep scratch",
            "capsule": ["torn shell", "poked hole\\x1b[31m"],
            "../": "x, y",
        }
        mixed = {"a": "b, c, d", "e": 1}
        other: dict = {"capsule": "squeezed side, leak of powder"}
        nested = {"mvtec": {"tile": ("gray stroke", "oil")}, "visa": {}}
        spread = {**other, "x": "y, z"}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "FiLo"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "FiLo.py").write_text(RELEASE)
    (folder / "broken.py").write_text("def (:")
    (folder / "huge.py").write_bytes(b"#" * (2 * 1024 * 1024 + 1))
    return folder


def test_dictionaries_are_found_by_their_shape(checkout: Path) -> None:
    dictionaries = find(checkout)
    assert [(one.name, one.size) for one in dictionaries] == [("details", 8), ("other", 2), ("nested.mvtec", 2)]
    assert dictionaries[0].place.startswith("models/FiLo.py:")
    assert choose(dictionaries, "other").phrases == {"capsule": ("squeezed side", "leak of powder")}
    nut, capsule = to_descriptions(dictionaries[0])
    assert (nut.category, nut.object_name) == ("metal_nut", "metal nut")
    assert nut.enabled_texts == ("bent corner", "deep scratch", "orange rust")
    assert capsule.anomalies[0].source == "import"
    assert "\x1b" not in capsule.anomalies[1].text


def test_import_saves_drafts(store: Store, checkout: Path) -> None:
    dry = prompt_forge(store, "import-filo", checkout, "--dry-run")
    assert "would save" in dry.stdout
    assert "also there: other" in dry.stderr
    assert store.categories() == ["capsule"]
    saved = json.loads(prompt_forge(store, "import-filo", checkout / "models" / "FiLo.py", "--json").stdout)
    assert saved == [{"ref": "metal_nut@1", "anomalies": 3}, {"ref": "capsule@2", "anomalies": 2}]
    assert store.load("metal_nut").status == "draft"


def test_texts_with_the_same_id_and_texts_too_long(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(repr({"nut": f"big-dent, big dent, {'x' * 300}, ???"}).join(["D = ", "\n"]))
    (only,) = to_descriptions(choose(find(tmp_path)))
    assert [(entry.id, entry.text) for entry in only.anomalies] == [("big-dent", "big-dent"), ("big_dent", "big dent")]
    (tmp_path / "x.py").write_text('D = {"nut": "big dent, big (dent), dent"}')
    (only,) = to_descriptions(choose(find(tmp_path)))
    assert [entry.id for entry in only.anomalies] == ["big_dent", "big_dent-2", "dent"]
    (tmp_path / "x.py").write_text('D = {"nut": "crack-2, crack, crack (, (crack), crack-2"}')
    (only,) = to_descriptions(choose(find(tmp_path)))
    assert [(entry.id, entry.text) for entry in only.anomalies] == [
        ("crack-2", "crack-2"),
        ("crack", "crack"),
        ("crack-3", "crack ("),
        ("crack-4", "(crack)"),
    ]


@pytest.mark.parametrize(
    ("phrases", "message"),
    [
        ({"nut": [f"dent {number}" for number in range(501)]}, "nut: anomalies: .* at most 500 items.*; shorten it"),
        ({"a b" * 99: ["dent", "crack"]}, "object_name: .* at most 200 characters"),
    ],
)
def test_what_does_not_fit_the_format_is_not_imported(
    store: Store, tmp_path: Path, phrases: dict[str, list[str]], message: str
) -> None:
    (tmp_path / "x.py").write_text(f"D = {phrases!r}")
    with pytest.raises(ImportFiLoError, match=rf"^x\.py:1: .*{message}"):
        prompt_forge(store, "import-filo", tmp_path / "x.py")
    assert store.categories() == ["capsule"]


def test_nothing_to_import(store: Store, checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportFiLoError, match="nowhere does not exist; pass the folder"):
        prompt_forge(store, "import-filo", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportFiLoError, match="no dictionary of phrases"):
        prompt_forge(store, "import-filo", tmp_path / "empty")
    with pytest.raises(ImportFiLoError, match="details"):
        prompt_forge(store, "import-filo", checkout, "--dict", "nope")


def test_export_in_three_forms(store: Store, tmp_path: Path) -> None:
    texts = ["deep crack in the shell", "blue ink smear", "missing print"]
    assert prompt_forge(store, "export", "capsule").stdout.splitlines() == texts
    assert json.loads(prompt_forge(store, "export", "capsule", "--format", "json").stdout) == texts
    out = tmp_path / "capsule.csv"
    prompt_forge(store, "export", "capsule", "--format", "csv", "--all", "--out", out)
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["id"], row["enabled"]) for row in rows][-1] == ("dent", "False")
    with pytest.raises(SettingsError, match=r"cannot write .*y: File exists; choose another --out"):
        prompt_forge(store, "export", "capsule", "--out", out / "y")


def test_an_edit_of_the_packaged_library_is_saved_in_the_working_folder(
    store: Store, editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("descriptions.store.PACKAGED", store.root)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    editor("text = text.replace('round dent', 'oval dent')")
    result = CliRunner().invoke(app, ["edit", "capsule"])
    assert result.exit_code == 0, result.exception
    saved = Store(work / "descriptions").load("capsule@1")
    assert saved.parent is None
    assert store.versions("capsule") == [1]
    assert copies(tmp_path) == []
