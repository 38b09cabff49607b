"""`prompt-forge review`: it goes on where it stopped, loses nothing, and calls nothing reviewed that lint refuses."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from descriptions.common.errors import ForgeError
from descriptions.format.schema import Anomaly, DescriptionFile, Provenance
from descriptions.store import PACKAGED, Store
from prompt_forge.cli.app import app
from prompt_forge.library.editing import EditError
from prompt_forge.library.reviewing import Review

ENTRIES = (
    Anomaly(id="crack", text="deep crack in the shell", source="llm"),
    Anomaly(id="ink", text="blue ink smear", source="llm"),
    Anomaly(id="print", text="missing print", source="llm"),
    Anomaly(id="dent", text="round dent", source="llm"),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "library")
    store.save(DescriptionFile(category="capsule", object_name="capsule", anomalies=ENTRIES))
    return store


def review(store: Store, answers: str, *options: str, ref: str = "capsule", fails: int = 0):
    words = ["review", ref, *options, "--descriptions-dir", str(store.root)]
    result = CliRunner().invoke(app, words, input=answers)
    if isinstance(result.exception, ForgeError):
        raise result.exception
    assert result.exit_code == fails, (result.output, result.exception)
    return result


def questions(stderr: str) -> list[str]:
    """The entries that were asked about, as they were shown."""
    return re.findall(r"^(?:.*> )?\d+/\d+ (.*)$", stderr, re.MULTILINE)


def texts(store: Store) -> list[str]:
    return list(store.load("capsule").enabled_texts)


def test_a_review_goes_on_where_it_stopped(store: Store) -> None:
    first = review(store, "a\nr\nq\n")
    assert "saved capsule@2 (draft, 2 decided, 3 enabled)" in first.stdout
    second = review(store, "s\na\n", "--label", "good")
    assert "going on where the last review stopped: 2 of 4 entries are decided" in second.stderr
    assert questions(second.stderr) == ["missing print", "round dent"]
    assert (store.load("capsule").status, "good" in store.labels("capsule")) == ("draft", False)
    third = review(store, "a\n", "--label", "good")
    assert questions(third.stderr) == ["missing print"]
    assert store.load("capsule@good").status == "reviewed"
    assert texts(store) == ["deep crack in the shell", "missing print", "round dent"]


def test_all_can_be_asked_again(store: Store) -> None:
    review(store, "a\n" * 4)
    assert "all 4 entries are decided; looking at them again" in review(store, "r\nq\n").stderr
    assert len(questions(review(store, "a\na\nq\n", "--again").stderr)) == 3


@pytest.mark.parametrize("answer", ["", "x", "ar", "acept", "r e", "1", "yes", "?"])
def test_an_unknown_answer_decides_nothing(store: Store, answer: str) -> None:
    result = review(store, f"{answer}\nq\n")
    assert "is none of a, r, e, o, l, s, b, n, q; nothing was decided" in result.stderr
    assert store.versions("capsule") == [1]


@pytest.mark.parametrize("answers", ["A\nREJECT\nq\n", "accept\nr\nquit\n", " a \n reject \nQ\n"])
def test_whole_words_and_capitals_are_answers(store: Store, answers: str) -> None:
    review(store, answers)
    assert texts(store) == ["deep crack in the shell", "missing print", "round dent"]


def test_back_shows_what_was_decided_and_can_change_it(store: Store) -> None:
    result = review(store, "b\nr\nb\na\ne\nred ink smear\nb\na\nq\n")
    assert "this is the first entry" in result.stderr
    assert questions(result.stderr) == [
        "deep crack in the shell",
        "blue ink smear",
        "deep crack in the shell (off)",
        "blue ink smear",
        "missing print",
        "red ink smear",
        "missing print",
    ]
    assert texts(store) == ["deep crack in the shell", "red ink smear", "missing print", "round dent"]


def test_entries_can_be_added(store: Store) -> None:
    result = review(store, "n\n\ntorn seam\nadd\nfaded letters\na\na\na\na\n")
    assert "added: torn seam" in result.stderr
    assert "saved capsule@2 (reviewed, 6 decided, 6 enabled)" in result.stdout
    added = store.load("capsule").anomalies[4:]
    assert [(one.text, one.source, one.enabled) for one in added] == [
        ("torn seam", "human", True),
        ("faded letters", "human", True),
    ]
    assert len({entry.id for entry in store.load("capsule").anomalies}) == 6


def copies(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "copies").rglob("*") if path.is_file()]


@pytest.mark.parametrize("end", ["", "text = '\\ufeff' + text.replace('\\n', '\\r\\n')"])
def test_one_entry_can_be_opened_in_an_editor(store: Store, editor, tmp_path: Path, end: str) -> None:
    editor(f"text = text.replace('blue', 'green').replace(\"family: ''\", 'family: stain')\n{end}")
    review(store, "a\no\nq\n")
    entry = store.load("capsule").anomalies[1]
    assert (entry.text, entry.family, entry.source, entry.decided) == ("green ink smear", "stain", "human", True)
    assert copies(tmp_path) == []


def test_an_editor_that_changes_nothing_decides_nothing(store: Store, editor, tmp_path: Path) -> None:
    editor("pass")
    result = review(store, "o\nq\n")
    assert "nothing decided; no version saved" in result.stderr
    assert copies(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("text.replace('text: deep', 'text: [deep')", "crack.yaml: line"),
        ("text.replace('text:', 'txt:')", "unknown key txt; expected text, family, part, note"),
        ("text.replace('deep crack in the shell', '')", "crack.yaml: text: "),
        (
            "text.replace('crack in the shell', 'crack #2')",
            "text: YAML reads '#2' as a comment; put the text in quotes",
        ),
    ],
)
def test_an_entry_that_cannot_be_read_back_is_opened_again_as_it_was_left(
    store: Store, editor, tmp_path: Path, change: str, message: str
) -> None:
    seen = tmp_path / "seen"
    editor(f"open({str(seen)!r}, 'a').write(text + '~'); text = {change}")
    result = review(store, "o\no\nq\n")
    assert message in result.stderr
    (copy,) = copies(tmp_path)
    assert str(copy) in result.stderr.replace("\n", "")
    first, second, _ = seen.read_text().split("~")
    assert second != first, "the second time, what was typed is there"
    assert store.versions("capsule") == [1]


def test_an_editor_that_is_missing_costs_no_decision(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "no-such-editor")
    result = review(store, "r\no\na\nq\n")
    assert "set EDITOR" in result.stderr
    assert texts(store) == ["blue ink smear", "missing print", "round dent"]


BAD = Anomaly(id="smell", text="burnt odour", source="llm")


@pytest.mark.parametrize("status", ["draft", "reviewed"])
def test_what_lint_refuses_is_not_reviewed_and_asked_about_again(store: Store, status: str) -> None:
    store.save(store.load("capsule").revised(anomalies=(*ENTRIES, BAD), status=status))
    result = review(store, "a\n" * 5, "--label", "good", fails=1)
    assert "lint refuses smell: 'odour' is smell" in result.stderr
    assert "capsule@3 is no reviewed version yet" in result.stderr
    assert (store.load("capsule").status, "good" in store.labels("capsule")) == ("draft", False)
    again = review(store, "e\nbrown burn mark\n", "--label", "good")
    assert [text.split(" (")[0] for text in questions(again.stderr)] == ["burnt odour"]
    assert store.load("capsule@good").status == "reviewed"


def test_a_rejected_entry_may_be_what_lint_refuses(store: Store) -> None:
    store.save(store.load("capsule").revised(anomalies=(*ENTRIES, BAD)))
    review(store, "a\n" * 4 + "r\n")
    assert store.load("capsule").status == "reviewed"


def test_a_file_without_enabled_entries_is_not_reviewed(store: Store) -> None:
    result = review(store, "r\n" * 4, fails=1)
    assert "lint refuses no enabled entry" in result.stderr
    assert store.load("capsule").status == "draft"


def ensemble(store: Store) -> None:
    origin = Provenance(
        generator="g", endpoint="local", model="a + b + c", template="structured", template_sha256="0" * 64
    )
    voted = [entry.model_copy(update={"support": 3 - index}) for index, entry in enumerate(ENTRIES[:3])]
    store.save(DescriptionFile(category="capsule", object_name="capsule", anomalies=(*voted, BAD), provenance=origin))


def test_who_proposed_an_entry_is_shown(store: Store) -> None:
    ensemble(store)
    asked = questions(review(store, "s\ns\ns\nq\n").stderr)
    assert asked[0] == "deep crack in the shell (proposed by 3 of 3 models)"
    assert asked[2] == "missing print (proposed by 1 of 3 models)"
    assert "proposed by" not in asked[3]
    shown = CliRunner().invoke(app, ["show", "capsule", "--descriptions-dir", str(store.root)]).stdout
    assert "proposed by" in shown
    assert [line.count(" of 3 models") for line in shown.splitlines() if " on " in line] == [1, 1, 1, 0]


def test_decisions_outlive_a_library_that_cannot_be_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    monkeypatch.delenv("VISUAL", raising=False)
    real = os.fsync

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EditError, match=r"No space left on device.*your decisions are in") as caught:
        review(store, "r\na\na\na\n")
    (copy,) = copies(tmp_path)
    said = str(caught.value)
    monkeypatch.setattr(os, "fsync", real)
    command = re.search(r"type EDITOR='(.*)' prompt-forge (edit .*)$", said)
    assert command, said
    monkeypatch.setenv("EDITOR", command[1])
    assert command[2].endswith(f"--descriptions-dir {store.root}")
    result = CliRunner().invoke(app, command[2].split())
    assert result.exit_code == 0, (result.output, result.exception)
    assert (store.load("capsule@2").status, texts(store)) == (
        "reviewed",
        ["blue ink smear", "missing print", "round dent"],
    )
    assert copy.is_file()


def test_decisions_are_shown_where_not_even_a_copy_can_be_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    monkeypatch.setattr(os, "fsync", full)
    words = ["review", "capsule", "--descriptions-dir", str(store.root)]
    result = CliRunner().invoke(app, words, input="r\na\na\na\n")
    assert isinstance(result.exception, EditError)
    assert "your decisions are above" in str(result.exception)
    assert result.stderr.count("decided: true") == 4


def test_nobody_reviews_or_edits_where_nothing_may_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PACKAGED.parent)
    for command in ("review", "edit"):
        result = CliRunner().invoke(app, [command, "capsule"], input="a\n" * 20)
        assert "the library of the package itself" in str(result.exception)
        assert "> " not in result.stderr, "refused before the first question"


def test_ctrl_c_while_an_entry_is_shown_keeps_what_was_decided(store: Store) -> None:
    answers = iter(["r"])
    shown: list[str] = []

    def say(line: str) -> None:
        shown.append(line)
        if line.startswith("2/4"):
            raise KeyboardInterrupt

    outcome = Review(store.load("capsule"), lambda _: next(answers), say).run()
    assert [outcome.seen, outcome.interrupted, len(outcome.description.enabled_texts)] == [1, True, 3], shown


def test_at_a_terminal_ctrl_c_keeps_what_was_decided(store: Store, tmp_path: Path) -> None:
    terminal, inner = pty.openpty()
    # Tests that run in the background hand down an ignored SIGINT; a terminal never does.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listen}; from prompt_forge.cli.app import main; main()"
    words = ["review", "capsule", "--descriptions-dir", str(store.root)]
    env = {**os.environ, "HOME": str(tmp_path), "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=inner, stdout=inner, stderr=inner, env=env, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(inner)
    said = ""

    def until(expected: str) -> None:
        nonlocal said
        give_up = time.monotonic() + 120
        while expected not in said and time.monotonic() < give_up:
            if select.select([terminal], [], [], 1)[0]:
                try:
                    said += os.read(terminal, 4096).decode()
                except OSError:  # the terminal is gone with the program
                    break
        assert expected in said, said

    try:
        until("1/4")
        until("[q]uit >")
        os.write(terminal, b"r\n")
        until("2/4")
        os.write(terminal, b"\x03")
        until("saved capsule@2 (draft, 1 decided, 3 enabled)")
        assert process.wait(60) == 130
    finally:
        process.kill()
        os.close(terminal)
    assert texts(store) == ["blue ink smear", "missing print", "round dent"]
