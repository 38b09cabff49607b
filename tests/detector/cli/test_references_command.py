"""`detector references` as typed."""

import json

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from detector.cli.app import app
from detector.context.bank import BankError
from detector.context.storage import load_bank
from detector.report.contact_sheet import GAP, LINE, ODD, PAPER, TILE
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import tiny_filo
from tests.support.pictures import plate


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").mkdir()
    for seed in range(9):
        plate(seed).save(tmp_path / "good" / f"{seed}.png")
    save_checkpoint(tiny_filo(), tmp_path / "tiny.safetensors", whole=True)

    def typed(*words, model=True):
        extra = ["--checkpoint", "tiny.safetensors"] if model else []
        return CliRunner().invoke(app, ["references", *words, *extra])

    return typed


BUILD = ("build", "good", "--category", "plate@1", "--out", "p.refs.safetensors")


def test_build_show_check(run):
    made = run(*BUILD)
    assert made.exit_code == 0, made.output
    assert "9 reference(s) of plate" in made.stdout
    assert "1 in 10 (10.0%)" in made.stdout
    shown = run("show", "p.refs.safetensors", "--json", model=False)
    about = json.loads(shown.stdout)
    assert (about["references"], about["category"], about["patches_per_level"]) == (9, "plate", [144] * 4)
    assert about["smallest_false_alarm_rate"] == pytest.approx(0.1)
    assert {row["name"] for row in about["photos"]} == {f"good/{seed}.png" for seed in range(9)}
    assert "3.png" in run("show", "p.refs.safetensors", model=False).stdout
    checked = run("check", "p.refs.safetensors", model=False)
    assert (checked.exit_code, "none of 9 references looks odd" in checked.stdout) == (0, True)


def test_a_planted_defect_is_named_and_can_be_removed(run, tmp_path):
    plate(77, scratched=True).save(tmp_path / "good" / "planted.png")
    assert "planted.png looks odd among the references" in " ".join(run(*BUILD).stderr.split())
    checked = run("check", "p.refs.safetensors", model=False)
    assert checked.exit_code == 1
    assert checked.stdout.startswith("good/planted.png looks odd")
    assert checked.stdout.count("looks odd") == 1
    assert json.loads(run("check", "p.refs.safetensors", "--json", model=False).stdout)["odd"][0]["deviations"] > 3.5
    assert run("remove", "p.refs.safetensors", "planted.png", model=False).exit_code == 0
    assert run("check", "p.refs.safetensors", model=False).exit_code == 0


def test_added_photos_equal_a_bank_built_at_once(run, tmp_path):
    run("build", "good/[0-4].png", *BUILD[2:])
    assert run("add", "p.refs.safetensors", "good/[5-8].png", "good/0.png").exit_code == 0
    grown = load_bank(tmp_path / "p.refs.safetensors")
    run(*BUILD)
    whole = load_bank(tmp_path / "p.refs.safetensors")
    assert grown.info == whole.info
    assert torch.allclose(torch.from_numpy(grown.maps), torch.from_numpy(whole.maps), atol=1e-6)


def test_options_reach_the_bank_and_settings_name_the_model(run, tmp_path):
    (tmp_path / "filo-forge.toml").write_text('[detector]\ncheckpoint = "tiny.safetensors"\n')
    done = run(*BUILD, "--rotations", "4", "--max-patches", "40", model=False)
    assert done.exit_code == 0, done.output
    bank = load_bank(tmp_path / "p.refs.safetensors")
    assert (bank.info.rotations, bank.info.max_patches, bank.info.preset) == (4, 40, "tiny.safetensors")
    assert sum(len(each[0]) for each in bank.tokens) == 40
    assert "does not hold its photos whole" in str(run("add", "p.refs.safetensors", "good/0.png").exception)


def test_a_sheet_shows_every_photo_and_frames_the_odd_one(run, tmp_path):
    plate(77, scratched=True).save(tmp_path / "good" / "planted.png")
    run(*BUILD)
    done = run("show", "p.refs.safetensors", "--json", "--sheet", "sheets/s.png", model=False)
    assert json.loads(done.stdout)["references"] == 10
    assert "sheet: sheets/s.png" in done.stderr
    with Image.open(tmp_path / "sheets" / "s.png") as opened:
        sheet = opened.convert("RGB")
    assert sheet.size == (6 * (TILE + GAP) + GAP, 2 * (TILE + 2 * LINE + GAP) + GAP)
    assert sheet.getpixel((GAP - 2, GAP + TILE // 2)) == ODD, "the oddest stands first, in red"
    assert sheet.getpixel((2 * GAP + TILE - 2, GAP + TILE // 2)) == PAPER
    (tmp_path / "good" / "3.png").unlink()
    done = run("show", "p.refs.safetensors", "--sheet", "s.jpg", model=False)
    assert "1 of 10 photos are not where they were" in " ".join(done.stderr.split())
    assert (done.exit_code, (tmp_path / "s.jpg").read_bytes()[:3]) == (0, b"\xff\xd8\xff")
    done = run("show", "p.refs.safetensors", "--sheet", "s.refs", model=False)
    assert "no format of pictures has the ending '.refs'; expected .png or .jpg" in str(done.exception)


def test_bad_photos_are_named_and_the_rest_is_done(run, tmp_path):
    (tmp_path / "good" / "broken.png").write_bytes(b"")
    done = run(*BUILD)
    assert done.exit_code == 0
    assert "broken.png is empty; left out" in " ".join(done.stderr.split())
    assert "9 reference(s)" in done.stdout


def test_one_photo_promises_nothing(run):
    assert "promises no false-alarm rate" in run("build", "good/0.png", *BUILD[2:]).stdout
    assert "from 3 on" in run("check", "p.refs.safetensors", model=False).stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*BUILD[:5], "x.safetensors"), "ends with .refs.safetensors"),
        (("build", "nothing", *BUILD[2:]), "no usable reference photo"),
        (("add", "none.refs.safetensors", "good"), "no file none.refs.safetensors"),
    ],
)
def test_wrong_use_gets_one_line_and_writes_nothing(run, tmp_path, words, says):
    done = run(*words)
    assert says in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not list(tmp_path.glob("*.refs.safetensors"))


def test_a_bank_of_another_model_is_not_added_to(run, tmp_path):
    run(*BUILD)
    save_checkpoint(tiny_filo(seed=5), tmp_path / "tiny.safetensors", whole=True)
    before = (tmp_path / "p.refs.safetensors").read_bytes()
    done = run("add", "p.refs.safetensors", "good/0.png")
    assert isinstance(done.exception, BankError)
    assert "references of model tiny.safetensors" in str(done.exception)
    assert (tmp_path / "p.refs.safetensors").read_bytes() == before
