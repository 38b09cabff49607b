"""The commands that look at the library, run as a person runs them."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from descriptions.common.errors import (
    BadReferenceError,
    ExistingCategoryError,
    ForgeError,
    SettingsError,
    UnknownCategoryError,
)
from descriptions.format.schema import Anomaly, DescriptionFile, Provenance
from descriptions.store import PACKAGED, Store
from prompt_forge.cli.app import app
from prompt_forge.library.scores import ScoresError, read_contributions

ENTRIES = (
    Anomaly(id="crack", text="Deep crack in the shell", source="llm"),
    Anomaly(id="ink", text="blue ink smear", source="llm", locked=True),
    Anomaly(id="print", text="missing print", source="llm", note="see line 3"),
)
ORIGIN = Provenance(generator="g", endpoint="local", model="tiny", template="structured", template_sha256="0" * 64)
CAPSULE = DescriptionFile(category="capsule", object_name="capsule", anomalies=ENTRIES, provenance=ORIGIN)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "library")
    store.save(CAPSULE)
    return store


def prompt_forge(store: Store, *args: object, fails: int = 0, stdin: str | None = None):
    result = CliRunner().invoke(app, [*map(str, args), "--descriptions-dir", str(store.root)], input=stdin)
    if isinstance(result.exception, ForgeError):
        raise result.exception
    assert result.exit_code == fails, result.output
    return result


def test_list_shows_every_category(store: Store) -> None:
    store.set_label("capsule", "reviewed")
    assert "reviewed=1" in prompt_forge(store, "list").stdout
    (found,) = json.loads(prompt_forge(store, "list", "--json").stdout)
    assert (found["category"], found["latest"], found["enabled"], found["error"]) == ("capsule", 1, 3, None)


def test_what_a_bare_name_means_is_told(store: Store) -> None:
    store.set_label("capsule@1", "default")
    result = prompt_forge(store, "rollback", "capsule@1")
    assert result.stdout == "capsule@2 is capsule@1 again\n"
    assert "capsule alone still means capsule@1; to change that: prompt-forge label capsule@2 default" in result.stderr
    (found,) = json.loads(prompt_forge(store, "list", "--json").stdout)
    assert (found["default"], found["latest"], found["versions"]) == (1, 2, [1, 2])
    prompt_forge(store, "label", "capsule@2", "default")
    shown = json.loads(prompt_forge(store, "show", "capsule", "--json").stdout)
    assert shown["version"] == 2


@pytest.mark.parametrize("command", [["rollback", "capsule"], ["lint", "capsule", "--fix"]])
def test_what_changes_the_packaged_library_is_saved_in_the_working_folder(
    store: Store, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("descriptions.store.PACKAGED", store.root)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.exception
    assert Store(work / "descriptions").load("capsule@1").parent is None
    assert store.versions("capsule") == [1]


def in_folder(*words: str, fails: int = 0):
    """Run without `--descriptions-dir`; the working folder is the caller's business."""
    result = CliRunner().invoke(app, [*words])
    if isinstance(result.exception, ForgeError):
        raise result.exception
    assert result.exit_code == fails, result.output
    return result


def test_a_first_description_of_ones_own_hides_no_product_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Store(tmp_path / "descriptions").save(CAPSULE.revised(category="softgel"))
    listed = json.loads(in_folder("list", "--json").stdout)
    where = {one["category"]: one["library"] for one in listed}
    assert where.pop("softgel") == "descriptions"
    assert set(where) == set(Store(PACKAGED).categories())
    assert set(where.values()) == {"packaged"}
    table = in_folder("list").stdout
    assert re.search(r"softgel .* descriptions", table)
    assert re.search(r"weld .* packaged", table)
    assert "weld@1" in in_folder("show", "weld").stdout
    assert "0 errors" in in_folder("lint", "weld").stdout
    assert "weld@1 -> weld@2" in in_folder("diff", "weld@1").stdout
    refs = {one["ref"] for one in json.loads(in_folder("lint", "--json").stdout)}
    assert refs <= {"softgel@1"}, "without a name, one's own are linted"
    assert "weld@1 is weld@2 again" in in_folder("rollback", "weld@2").stdout
    assert Store(tmp_path / "descriptions").load("weld@1").parent is None
    assert Store(PACKAGED).versions("weld") == [1, 2]
    with pytest.raises(UnknownCategoryError, match="type prompt-forge copy zipper"):
        in_folder("label", "zipper@1", "mine")


def test_copy_and_rename(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = prompt_forge(store, "copy", "capsule", "softgel", "--object-name", "gel capsule").stdout
    assert said == "softgel@1 is a copy of capsule@1\n"
    assert store.load("softgel").object_name == "gel capsule"
    assert prompt_forge(store, "copy", "weld").stdout == "weld@1 is a copy of the packaged weld@1\n"
    store.save(CAPSULE)
    store.set_label("capsule@1", "reviewed")
    assert prompt_forge(store, "rename", "capsule", "gel").stdout == "renamed capsule to gel: versions 1, 2\n"
    assert store.categories() == ["gel", "softgel", "weld"]
    assert store.labels("gel") == {"latest": 2, "reviewed": 1}
    with pytest.raises(ExistingCategoryError, match="has a category 'weld' already"):
        prompt_forge(store, "copy", "gel", "weld")
    with pytest.raises(UnknownCategoryError, match="the package has one: type prompt-forge copy zipper"):
        prompt_forge(store, "rename", "zipper", "zip")
    monkeypatch.chdir(tmp_path)
    in_folder("copy", "weld", "welding")
    assert Store(tmp_path / "descriptions").categories() == ["welding"]


def test_a_folder_that_is_called_otherwise_leads_to_the_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for typed, near in (("welding", "weld"), ("capsul", "capsule"), ("metalnut", "metal_nut"), ("zippers", "zipper")):
        with pytest.raises(UnknownCategoryError, match=rf"did you mean {near}\?$"):
            in_folder("show", typed)
    Store(tmp_path / "descriptions").save(CAPSULE.revised(category="softgel"))
    for typed, near in (("welding", "weld"), ("soft_gel", "softgel")):
        with pytest.raises(UnknownCategoryError, match=rf"did you mean {near}\?$"):
            in_folder("show", typed)


def test_words_that_the_bundled_model_cannot_read_are_named(store: Store) -> None:
    entries = (Anomaly(id="a", text="deep crack"), Anomaly(id="b", text="zxqvy casing"), Anomaly(id="c", text="dent"))
    store.save(CAPSULE.revised(anomalies=entries))
    shown = prompt_forge(store, "show", "capsule").stdout
    assert "mini cannot read" in shown
    assert re.search(r"b +zxqvy casing .*zxqvy, casing", shown)
    assert json.loads(prompt_forge(store, "show", "capsule", "--json").stdout)["unread_words"] == {
        "mini": {"b": ["zxqvy", "casing"]}
    }
    findings = json.loads(prompt_forge(store, "lint", "capsule", "--model", "mini", "--json").stdout)
    assert [(one["entry"], one["message"]) for one in findings if one["rule"] == "unread-words"] == [
        ("b", "mini cannot read 'zxqvy', 'casing': blanks to it")
    ]
    for model in ((), ("--model", "vitl")):
        assert "unread-words" not in prompt_forge(store, "lint", "capsule", *model).stdout
    with pytest.raises(SettingsError, match=r"vision model 'mimi'; expected one of mini, vitl, or .* mean mini\?"):
        prompt_forge(store, "lint", "capsule", "--model", "mimi")
    assert "mini cannot read" not in prompt_forge(store, "show", "capsule@1").stdout


def test_list_goes_on_past_a_broken_file(store: Store) -> None:
    store.save(DescriptionFile(category="nut", object_name="nut"))
    store.path("capsule", 1).write_text("category: [\n")
    result = prompt_forge(store, "list", fails=1)
    assert "nut" in result.stdout
    assert "v1.yaml" in result.stderr


def test_an_empty_library_says_what_to_type(tmp_path: Path) -> None:
    result = prompt_forge(Store(tmp_path), "list")
    assert "prompt-forge generate" in result.stderr
    assert result.stdout == ""


def test_show_prints_one_version(store: Store) -> None:
    text = prompt_forge(store, "show", "capsule").stdout
    assert "missing print" in text
    assert "by tiny (local, template structured)" in text
    shown = json.loads(prompt_forge(store, "show", "capsule", "--json").stdout)
    assert shown["content_hash"] == CAPSULE.content_hash


def test_nothing_in_a_file_drives_the_terminal_or_is_markup(store: Store) -> None:
    entry = Anomaly(id="x", text="[red]ink[/red] \u202esmear", note="a\x1b[31mb")
    store.save(CAPSULE.revised(anomalies=(entry,)))
    text = prompt_forge(store, "show", "capsule").stdout
    assert "[red]ink[/red]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_an_unknown_name_offers_the_nearest(store: Store) -> None:
    with pytest.raises(UnknownCategoryError, match="did you mean capsule"):
        prompt_forge(store, "show", "capsul")
    with pytest.raises(BadReferenceError):
        prompt_forge(store, "show", "../capsule")


def test_lint_fails_on_errors_only_and_fixes(store: Store) -> None:
    assert "0 errors, 1 warnings; --fix repairs 1" in prompt_forge(store, "lint").stdout
    prompt_forge(store, "lint", "--strict", fails=1)
    assert "fixed capsule@1; saved as capsule@2" in prompt_forge(store, "lint", "capsule", "--fix").stderr
    assert store.load("capsule").parent == 1
    prompt_forge(store, "lint", "--fix", "--strict")
    assert store.versions("capsule") == [1, 2]
    (leak,) = json.loads(prompt_forge(store, "lint", "--leak", "missing_print", "--json").stdout)
    assert leak["rule"] == "label-leak"
    store.save(CAPSULE.revised(anomalies=(Anomaly(id="smell", text="odour"),)))
    assert "not-visible" in prompt_forge(store, "lint", "capsule", fails=1).stdout


def test_diff_label_and_rollback(store: Store) -> None:
    entries = (ENTRIES[0], Anomaly(id="hole", text="pin hole"))
    store.save(CAPSULE.revised(anomalies=entries, parent=1, parts=("cap",)))
    text = prompt_forge(store, "diff", "capsule@1").stdout
    assert "+ anomalies.hole: pin hole" in text
    assert "- anomalies.ink: blue ink smear" in text
    assert "~ parts: [] -> [cap]" in text
    assert json.loads(prompt_forge(store, "diff", "capsule@1", "capsule@2", "--json").stdout)["same_content"] is False
    assert "no differences" in prompt_forge(store, "diff", "capsule@2").stdout
    assert "capsule@good is now capsule@1" in prompt_forge(store, "label", "capsule@1", "good").stdout
    assert "capsule@3 is capsule@1 again" in prompt_forge(store, "rollback", "capsule@good").stdout
    assert store.load("capsule").content_hash == CAPSULE.content_hash
    assert store.load("capsule").parent == 1


def test_schema_prints_json() -> None:
    assert json.loads(CliRunner().invoke(app, ["schema"]).stdout) == DescriptionFile.model_json_schema()


def scores(tmp_path: Path, **changes: object) -> Path:
    phrases = [
        {
            "id": "crack",
            "verdict": "hurts",
            "image_auroc_delta": -0.01,
            "interval": [-0.02, -0.001],
            "pixel_ap_delta": 0.5,
        },
        {"id": "ink", "verdict": "hurts"},
        {"id": "print", "verdict": "no evidence", "image_auroc_delta": 0.0, "future": 1},
    ]
    content = {"category": "capsule", "version": 1, "content_hash": CAPSULE.content_hash, "phrases": phrases} | changes
    (tmp_path / "contributions.json").write_text(json.dumps(content))
    return tmp_path


def test_show_with_scores(store: Store, tmp_path: Path) -> None:
    run = scores(tmp_path)
    text = prompt_forge(store, "show", "capsule", "--scores", run).stdout
    assert "-0.0100 [-0.0200, -0.0010]" in text
    assert "+0.5000" in text
    shown = json.loads(prompt_forge(store, "show", "capsule", "--scores", run, "--json").stdout)
    assert shown["scores"][0]["verdict"] == "hurts"
    scores(tmp_path, phrases=[])
    assert "verdict" in prompt_forge(store, "show", "capsule", "--scores", run).stdout


def test_a_run_over_several_versions_leaves_a_list(store: Store, tmp_path: Path) -> None:
    path = scores(tmp_path) / "contributions.json"
    mine = json.loads(path.read_text())
    path.write_text(json.dumps([mine | {"content_hash": "other"}, mine]))
    assert "would disable 1" in prompt_forge(store, "prune", "capsule", "--from", tmp_path, "--dry-run").stdout
    path.write_text("[]")
    with pytest.raises(ScoresError, match="about nothing"):
        prompt_forge(store, "show", "capsule", "--scores", tmp_path)


def test_a_run_folder_keeps_a_file_for_each_version(store: Store, tmp_path: Path) -> None:
    first = scores(tmp_path) / "contributions.json"
    own = tmp_path / "contributions" / "capsule-v1.json"
    own.parent.mkdir()
    own.write_text(first.read_text())
    first.write_text(json.dumps(json.loads(first.read_text()) | {"version": 7, "content_hash": "other"}))
    assert "would disable 1" in prompt_forge(store, "prune", "capsule@1", "--from", tmp_path, "--dry-run").stdout


def test_prune_disables_what_hurts_and_leaves_locked_entries(store: Store, tmp_path: Path) -> None:
    run = scores(tmp_path)
    assert "would disable 1" in prompt_forge(store, "prune", "capsule", "--from", run, "--dry-run").stdout
    both = json.loads(prompt_forge(store, "prune", "capsule", "--from", run, "--no-evidence", "--json").stdout)
    assert [entry["id"] for entry in both["disabled"]] == ["crack", "print"]
    assert both["ref"] == "capsule@2"
    assert store.load("capsule").enabled_texts == ("blue ink smear",)
    again = prompt_forge(store, "prune", "capsule@1", "--from", run, "--no-evidence")
    assert "unchanged capsule@2, which has them disabled already" in again.stdout
    assert store.load("capsule@latest").version == 2
    nothing = prompt_forge(store, "prune", "capsule@1", "--from", run / "contributions.json", "--keep-hurts")
    assert "nothing to disable" in nothing.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"content_hash": "other"}, "evaluate again"), ({"version": 0}, "version"), ({"phrases": "x"}, "phrases")],
)
def test_scores_that_do_not_fit_are_refused(store: Store, tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ScoresError, match=message):
        prompt_forge(store, "prune", "capsule", "--from", scores(tmp_path, **changes))


def test_scores_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScoresError, match="detector eval"):
        read_contributions(tmp_path, CAPSULE)
    (tmp_path / "contributions.json").write_text("{}" * 20)
    monkeypatch.setattr("prompt_forge.library.scores.MAX_BYTES", 10)
    with pytest.raises(ScoresError, match="too large"):
        read_contributions(tmp_path, CAPSULE)


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of a command line with the words that lead to it, groups included."""
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


TREE = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_every_command_shows_an_example_that_can_be_typed(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Example: prompt-forge" in result.stdout or "Example: EDITOR=nano prompt-forge" in result.stdout
    source = f"{TREE[path].help} {TREE[path].epilog or ''}"
    for example in re.findall(r"Example:\s+`(?:EDITOR=nano )?prompt-forge ([^`>]+)", source):
        words = shlex.split(example)
        depth = max(n for n in range(len(words) + 1) if tuple(words[:n]) in TREE)
        assert tuple(words[: len(path)]) == path
        TREE[tuple(words[:depth])].make_context("prompt-forge", words[depth:])  # raises where an option is wrong


@pytest.mark.parametrize("module", ["prompt_forge.cli.app", "detector.cli.app"])
def test_help_loads_neither_torch_nor_openai(module: str) -> None:
    code = f"import sys, {module}; sys.exit(' '.join({{'torch', 'openai', 'open_clip'}} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
