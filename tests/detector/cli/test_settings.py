"""`[detector]` of filo-forge.toml stands for options that were not typed."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from descriptions.common.errors import SettingsError
from detector.cli.app import app
from detector.settings import DetectorSettings, ModelChoice, read_settings, saved_settings
from tests.support.dataset import make_dataset

FILE = "filo-forge.toml"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_file_stands_for_options_and_a_variable_for_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(FILE).write_text('[detector]\nlocalizer = "none"\nworkers = 3\nmax_size = 64\n')
    monkeypatch.setenv("FILO_FORGE_WORKERS", "4")
    assert saved_settings() == {"localizer": "none", "workers": 4, "max_size": 64}
    read = read_settings(max_size=32, gate=None)
    assert (read.localizer, read.workers, read.max_size, read.gate) == ("none", 4, 32, "soft")


def test_training_takes_the_device_only() -> None:
    Path(FILE).write_text('[detector]\ncheckpoint = "~/x.safetensors"\ndevice = "cuda:99"\nmax_pixels = 7\n')
    read = read_settings()
    assert (read.checkpoint, read.device) == (Path.home() / "x.safetensors", "cuda:99")
    make_dataset(Path("data"), ["capsule"])
    result = CliRunner().invoke(app, ["train", "--data", "data", "--split", "test", "--out", "out"])
    assert "no GPU for --device cuda:99" in str(result.exception), result.output


@pytest.mark.parametrize(
    "typed", [{"preset": "mini"}, {"checkpoint": Path("other.safetensors")}, {"pretrained": "laion"}]
)
def test_a_model_that_is_typed_sets_aside_the_model_of_the_file(
    typed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(FILE).write_text('[detector]\ncheckpoint = "x.safetensors"\npretrained = "openai"\ngate = "hard"\n')
    monkeypatch.setenv("FILO_FORGE_PRESET", "vitl")
    expected = {"preset": None, "checkpoint": None, "pretrained": None} | typed
    assert read_settings(**typed).group(ModelChoice) == expected
    assert read_settings(**typed).gate == "hard"


def test_kept_weights_of_grounding_dino_are_for_runs_that_use_it() -> None:
    Path(FILE).write_text('[detector]\ndino_weights = "dino.pth"\n')
    assert read_settings().dino_weights is None
    assert read_settings(localizer="grounding-dino").dino_weights == Path("dino.pth")
    assert read_settings(dino_weights=Path("typed.pth")).dino_weights == Path("typed.pth")  # refused by the command


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
        read_settings()


def test_the_command_line_reads_it_and_help_does_not_need_it() -> None:
    Path(FILE).write_text('[detector]\ncheckpoint = "gone.safetensors"\n')
    Path("x.png").write_bytes(b"")
    result = CliRunner().invoke(app, ["detect", "x.png", "--category", "capsule"])
    assert "no checkpoint gone.safetensors" in str(result.exception)
    Path(FILE).write_text("[detector")
    assert CliRunner().invoke(app, ["detect", "--help"]).exit_code == 0
    with pytest.raises(SettingsError, match=r"filo-forge\.toml cannot be read"):
        CliRunner().invoke(app, ["export", "x.onnx", "--category", "c", "--reference", "x"], catch_exceptions=False)


def test_every_setting_is_an_option_that_is_none_until_typed_and_shows_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    commands = get_command(app).commands  # type: ignore[attr-defined]
    params = {param.name: param for name in ("detect", "eval") for param in commands[name].params}
    text = " ".join(CliRunner().invoke(app, [name, "--help"]).output for name in ("detect", "eval"))
    rows = {row.split()[1]: row for row in re.split(r"(?=│ +(?:\* +)?--)", text) if "--" in row}
    for name, value in DetectorSettings().model_dump().items():
        assert params[name].default is None
        shown = re.search(r"\[default: (.*?)\]", rows[f"--{name.replace('_', '-')}"])
        assert (shown and shown[1]) == (None if value is None else str(value)), name


def test_shared_options_are_the_same_in_every_command() -> None:
    seen: dict[str, tuple[str, str]] = {}
    commands = dict(get_command(app).commands)  # type: ignore[attr-defined]
    commands |= {f"references {name}": each for name, each in commands.pop("references").commands.items()}
    commands |= {f"data {name}": each for name, each in commands.pop("data").commands.items()}
    for name, command in commands.items():
        for param in command.params:
            if param.name in DetectorSettings.model_fields or param.name in ("descriptions_dir", "tile"):
                assert seen.setdefault(param.name, (name, param.help))[1] == param.help, (name, param.name)
    assert len(seen) > 15
