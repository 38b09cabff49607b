"""`detector doctor`: every gap comes with what to type."""

import json

import pytest
from typer.testing import CliRunner

from descriptions.common.extras import EXTRAS
from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector.cli.app import app
from detector.runs import doctor
from detector.weights import registry as presets


@pytest.fixture
def library(tmp_path):
    Store(tmp_path / "library").save(DescriptionFile(category="gear", object_name="gear"))
    return tmp_path / "library"


def by_subject(descriptions_dir):
    return {each.subject: each for each in doctor.checks(descriptions_dir)}


def test_a_machine_that_has_everything(library, tmp_path, monkeypatch):
    (tmp_path / "presets/mini").mkdir(parents=True)
    (tmp_path / "presets/mini" / presets.WEIGHTS).write_bytes(b"x" * 2**20)
    monkeypatch.setattr(presets, "FOLDER", tmp_path / "presets")
    checks = by_subject(library)
    assert checks["detector detect"].state == "ok"
    assert "1 categories" in checks["descriptions"].found
    assert checks["torch"].state == "ok"
    result = CliRunner().invoke(app, ["doctor", "--descriptions-dir", str(library), "--format", "json"])
    assert result.exit_code == 0, result.stdout
    assert json.loads(result.stdout)["checks"][0]["subject"] == "python"


def test_every_gap_says_what_to_type(tmp_path, monkeypatch):
    (tmp_path / "presets/mini").mkdir(parents=True)
    monkeypatch.setattr(presets, "FOLDER", tmp_path / "presets")
    monkeypatch.setitem(doctor.PACKAGES, "no-such-package", "")
    monkeypatch.setitem(doctor.COMMANDS, "fly", ("no_such_module",))
    monkeypatch.setitem(EXTRAS, "no_such_module", "wings")
    checks = by_subject(tmp_path / "empty")
    missing = [each for each in checks.values() if each.state == "missing"]
    assert {each.subject for each in missing} == {"no-such-package", "preset mini", "descriptions", "detector detect"}
    assert all(each.hint for each in missing)
    assert checks["detector fly"].hint == "pip install 'filo-forge[wings]'"
    result = CliRunner().invoke(app, ["doctor", "--descriptions-dir", str(tmp_path / "empty")])
    assert result.exit_code == 1
    assert "missing" in result.stdout


def test_a_library_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    assert by_subject(tmp_path / "file")["descriptions"].state == "missing"


def test_a_preset_that_fetches_its_weights():
    assert by_subject(None)["preset vitl"].state == "optional"


def test_settings_that_are_not_built_in(monkeypatch):
    assert "built-in" in by_subject(None)["settings"].found
    monkeypatch.setenv("FILO_FORGE_DEVICE", "cpu")
    assert by_subject(None)["settings"].found == "device = cpu"
    monkeypatch.setenv("FILO_FORGE_WORKERS", "0")
    monkeypatch.setenv("COLUMNS", "200")
    assert by_subject(None)["settings"].state == "missing"
    assert "setting workers = '0'" in CliRunner().invoke(app, ["doctor"]).stdout
