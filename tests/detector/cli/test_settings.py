"""`[detector]` of filo-forge.toml stands for options that were not typed."""

from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from descriptions.common.errors import SettingsError
from detector.cli.app import app
from detector.settings import MODEL, DetectorSettings, option_defaults

FILE = "filo-forge.toml"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_file_stands_for_options_and_a_variable_for_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(FILE).write_text('[detector]\nlocalizer = "none"\nworkers = 3\n')
    monkeypatch.setenv("FILO_FORGE_WORKERS", "4")
    assert option_defaults()["detect"] == {"localizer": "none", "workers": 4}
    assert option_defaults()["train"] == {}


def test_training_takes_the_device_only() -> None:
    Path(FILE).write_text('[detector]\ncheckpoint = "~/x.safetensors"\ndevice = "cpu"\n')
    found = option_defaults()
    assert found["train"] == {"device": "cpu"}
    assert found["eval"] == {"checkpoint": str(Path.home() / "x.safetensors"), "device": "cpu"}


@pytest.mark.parametrize("typed", [["--preset", "mini"], ["--preset=mini"], ["--checkpoint", "other.safetensors"]])
def test_a_model_that_is_typed_sets_aside_the_model_of_the_file(typed: list[str]) -> None:
    Path(FILE).write_text('[detector]\ncheckpoint = "x.safetensors"\npretrained = "openai"\ngate = "hard"\n')
    assert option_defaults(typed)["eval"] == {"gate": "hard"}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[detector]\nwokers = 2", r"unknown key wokers in \[detector\]; did you mean workers"),
        ("[detecter]\nworkers = 2", r"unknown table \[detecter\]; did you mean detector"),
        ("[detector]\nx = 1", r"unknown key x in \[detector\]; known: preset, checkpoint"),
        ("[detector]\ncheckpoint = 3", "setting checkpoint = 3; expected a path; set in"),
        ("[detector]\nworkers = 0", "setting workers = 0; expected greater than or equal to 1"),
        ("[detector]\npreset = 'mini'\ncheckpoint = 'x'", "both preset and checkpoint"),
    ],
)
def test_wrong_settings_are_named(table: str, said: str) -> None:
    Path(FILE).write_text(table)
    with pytest.raises(SettingsError, match=said):
        option_defaults()


def test_the_command_line_reads_it_and_help_does_not_need_it() -> None:
    Path(FILE).write_text('[detector]\ncheckpoint = "gone.safetensors"\n')
    Path("x.png").write_bytes(b"")
    result = CliRunner().invoke(app, ["detect", "x.png", "--category", "capsule"])
    assert "no checkpoint gone.safetensors" in str(result.exception)
    Path(FILE).write_text("[detector")
    assert CliRunner().invoke(app, ["detect", "--help"]).exit_code == 0
    with pytest.raises(SettingsError, match=r"filo-forge\.toml cannot be read"):
        CliRunner().invoke(app, ["export", "x.onnx", "--category", "c", "--reference", "x"], catch_exceptions=False)


def test_every_setting_is_an_option_of_a_command_with_the_same_default() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    options = {p.name: p.default for name in ("detect", "eval") for p in commands[name].params}
    settings = DetectorSettings().model_dump()
    assert settings == {name: options[name] for name in settings}
    assert {*MODEL} < settings.keys()
