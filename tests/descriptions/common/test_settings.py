"""Variables and files that set nothing are named, with the nearest name that does."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from descriptions.common.errors import SettingsError
from descriptions.common.settings import SETTINGS, LibrarySettings, load


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("MODLE", "MODEL"),
        ("DESCRIPTION_DIR", "DESCRIPTIONS_DIR"),
        ("WORKER", "WORKERS"),
        ("TEMPERATUR", "TEMPERATURE"),
        ("TOKN", "TOKEN"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest_of_all_settings(
    name: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FILO_FORGE_{name}", "x")
    with pytest.raises(SettingsError, match=rf"FILO_FORGE_{name} sets nothing; .*did you mean FILO_FORGE_{nearest}\?"):
        load(LibrarySettings, "library")


def test_every_variable_that_code_and_pages_name_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).resolve().parents[3]
    sources = [path for place in ("detector", "prompt_forge", "docs", "docker") for path in (root / place).rglob("*.*")]
    texts = [path.read_text() for path in [root / "README.md", *sources] if path.suffix in (".py", ".md", ".yaml", "")]
    names = {name for text in texts for name in re.findall(r"FILO_FORGE_[A-Z][A-Z_]*[A-Z]", text)}
    assert len(names) > 3
    for name in names:
        monkeypatch.setenv(name, "x")
        assert load(LibrarySettings, "library")
        monkeypatch.delenv(name)


def test_a_variable_like_no_setting_can_be_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILO_FORGE_XYZZY", "x")
    with pytest.raises(SettingsError, match=r"FILO_FORGE_XYZZY sets nothing; .*; unset it"):
        load(LibrarySettings, "library")
    monkeypatch.setenv("FILO_FORGE_XYZZY", "")
    assert load(LibrarySettings, "library").descriptions_dir is None


@pytest.mark.parametrize("section", SETTINGS)
def test_the_settings_of_the_other_tool_are_known(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, name = SETTINGS[section].partition(":")
    for field in getattr(import_module(module), name).model_fields:
        if field != "descriptions_dir":
            monkeypatch.setenv(f"FILO_FORGE_{field.upper()}", "1")
    assert load(LibrarySettings, "library").descriptions_dir is None
