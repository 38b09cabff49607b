"""Templates, name lists, scores and edited copies as editors on Windows save them."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from descriptions.common.errors import SettingsError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from prompt_forge.cli.app import app
from prompt_forge.generation.catalog import read_products
from prompt_forge.library.scores import read_contributions
from prompt_forge.templating.templates import Templates, check, copy_template, read

TEMPLATE = """---
id: mine
purpose: A question of our own.
answer: list
variables: [object_name]
---
{% block user %}
What can be wrong with a {{ object_name }}?
{% endblock %}
"""
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_template_is_the_same_however_it_is_saved(encoding: str, end: str, tmp_path: Path) -> None:
    plain, saved = tmp_path / "a" / "mine.j2", tmp_path / "b" / "mine.j2"
    for path, data in ((plain, TEMPLATE.encode()), (saved, TEMPLATE.replace("\n", end).encode(encoding))):
        path.parent.mkdir()
        path.write_bytes(data)
    assert check(read(saved)) == check(read(plain))
    assert read(saved).sha256 == read(plain).sha256


@pytest.mark.parametrize("start", ["--- ", "---\t", "\n---", "\r\n--- "])
def test_blanks_around_the_first_line_hide_no_front_matter(start: str, tmp_path: Path) -> None:
    (tmp_path / "mine.j2").write_bytes(TEMPLATE.replace("---", start, 1).encode())
    assert read(tmp_path / "mine.j2").id == "mine"


def test_a_template_with_a_mark_is_shown_and_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("templates").mkdir()
    Path("templates/mine.j2").write_bytes(TEMPLATE.encode("utf-8-sig"))
    assert CliRunner().invoke(app, ["templates", "show", "mine"]).stdout == TEMPLATE
    assert "ok templates/mine.j2" in CliRunner().invoke(app, ["templates", "check", "templates/mine.j2"]).stdout
    copy_template("mine", "yours", Path("templates"))
    assert Templates.find().get("yours").front.purpose == "A question of our own."


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_list_of_names_is_read_however_it_is_saved(encoding: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(f"Metal nut{end}# more{end}gear  # line 3{end}".encode(encoding))
    assert list(read_products(path)) == ["metal_nut", "gear"]
    path = path.with_suffix(".yaml")
    path.write_bytes(f"gear:{end}  object_name: gear wheel\t{end}".encode(encoding))
    assert read_products(path)["gear"].object_name == "gear wheel"


def test_a_list_of_names_in_an_old_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("Schlüssel\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"names\.txt is not UTF-8; save it as UTF-8"):
        read_products(path)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_contributions_are_read_however_they_are_saved(encoding: str, tmp_path: Path) -> None:
    description = DescriptionFile(category="nut", object_name="nut", anomalies=(Anomaly(id="a", text="dent"),))
    document = {"category": "nut", "version": 1, "content_hash": description.content_hash}
    path = tmp_path / "contributions.json"
    path.write_bytes(json.dumps(document | {"phrases": [{"id": "a", "verdict": "helps"}]}).encode(encoding))
    assert read_contributions(path, description).by_id["a"].verdict == "helps"


WIDGET = """category: widget
object_name: widget
anomalies:
  - id: crack-1
    text: thin crack in the casing
  # look here
  - id: dent-1
    text: dented side  # as on line 3
    family: dent
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "library" / "widget").mkdir(parents=True)
    (tmp_path / "library" / "widget" / "v1.yaml").write_text(WIDGET)
    return Store(tmp_path / "library")


@pytest.mark.parametrize("mark", ["", "\\xef\\xbb\\xbf"])
@pytest.mark.parametrize("break_", ["\\r", "\\t\\r"])
def test_an_editor_of_windows_leaves_a_file_with_one_kind_of_line(
    store: Store, mark: str, break_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "crlf.sh"
    editor.write_text(f'#!/bin/sh\nsed -i "s/dented side/dented rim/; s/$/{break_}/; 1s/^/{mark}/" "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(editor))
    result = CliRunner().invoke(app, ["edit", "widget@1", "--descriptions-dir", str(store.root)])
    assert result.exit_code == 0, result.exception
    assert "saved widget@2" in result.stdout
    written = store.path("widget", 2).read_bytes().decode()
    assert "\r" not in written
    assert "\ufeff" not in written
    assert "  # look here" in [line.rstrip() for line in written.splitlines()]
    assert "text: dented rim  # as on line 3" in written


def test_line_ends_alone_are_no_change(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "crlf.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/$/\\r/; 1s/^/\\xef\\xbb\\xbf/" "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(editor))
    result = CliRunner().invoke(app, ["edit", "widget", "--descriptions-dir", str(store.root)])
    assert "nothing changed" in result.stderr
    assert store.versions("widget") == [1]
