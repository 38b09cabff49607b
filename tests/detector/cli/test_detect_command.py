"""`detector detect` from end to end with a tiny model: formats, files, bad input, exit codes."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from descriptions.common.errors import ForgeError, UnknownCategoryError, UnknownVersionError
from descriptions.format.schema import Anomaly
from descriptions.store import Store
from detector.detect.detector import Detector
from detector.detect.results import judged, to_csv
from detector.device import DeviceError
from detector.errors import DetectorError
from detector.images.find import NoImagesError
from detector.runs.record import read_run
from detector.scoring.threshold import Threshold, ThresholdError
from detector.weights.checkpoint import CheckpointError
from tests.support.detecting import command, make_workplace, row_of, run
from tests.support.page import read_page


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("home"))


def test_json_is_one_document(home):
    result = run(command(home, "--threshold", "0.5", "--format", "json"))
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["failed"] == []
    assert document["descriptions"] == "gear@1"
    assert document["threshold"] == 0.5
    assert document["threshold_from"] == {"how": "given", "promises": "nothing by itself: it was typed", "n": None}
    first = document["images"][0]
    assert set(first) == {"path", "score", "verdict", "region", "boxes", "descriptions", "heatmap"}
    assert set(first["descriptions"][0]) == {"id", "text", "similarity"}
    assert all(row["verdict"] == ("anomalous" if row["score"] >= 0.5 else "good") for row in document["images"])


def test_csv_and_table(home):
    rows = list(csv.DictReader(io.StringIO(run(command(home, "--format", "csv", "--threshold", "9")).stdout)))
    assert len(rows) == 12
    assert {row["verdict"] for row in rows} == {"good"}
    assert {row["boxes"] for row in rows} == {"0"}
    assert {row["threshold_from"] for row in rows} == {"given"}
    result = run(command(home, "--threshold", "-9"))
    lines = [[cell.strip() for cell in line.split("│")[1:4]] for line in result.stdout.splitlines() if "│" in line]
    assert [name for name, _, _ in lines] == [f"{number:02}.png" for number in range(12)]
    assert [score for _, score, _ in lines] == [f"{float(row['score']):.3f}" for row in rows]
    assert {verdict for _, _, verdict in lines} == {"anomalous"}
    assert "threshold -9.0000, as given" in result.stderr.splitlines()
    assert "threshold 9 calls everything good" in run(command(home, "--threshold", "9")).stderr


def test_bad_files_are_listed_and_the_rest_is_done(home, tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes((home / "photos/00.png").read_bytes()[: 10**number])
    result = run([*command(home, "--format", "json"), str(tmp_path)])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert len(document["images"]) == 13 - (len((home / "photos/00.png").read_bytes()) > 10**4)
    assert all(failure["error"].startswith(failure["path"]) for failure in document["failed"])


def test_ninety_of_a_hundred_are_done_and_ten_are_named(home, tmp_path):
    for number in range(100):
        photo = (home / "photos" / f"{number % 12:02}.png").read_bytes()
        (tmp_path / f"{number:02}.png").write_bytes(photo[: len(photo) // 2] if number % 10 == 3 else photo)
    out = tmp_path / "run"
    result = run([*command(home, "--format", "csv", "--out", str(out), photos=str(tmp_path))])
    assert result.exit_code == 1
    assert len(list(csv.DictReader(io.StringIO(result.stdout)))) == 90
    named = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert [line.split()[1] for line in named] == [str(tmp_path / f"{tens}3.png") for tens in range(10)]
    assert read_run(out)["status"] == "partial"
    (failures,) = read_page(out / "report.html").find("section", klass="failures")
    assert [line.text.split()[0] for line in failures.find("li")] == [line.split()[1] for line in named]


def test_a_missing_file_alone_is_one_line(home):
    result = run(command(home, photos="none.png"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [f"failed: no file at {home / 'none.png'}"]


def test_a_second_run_does_not_find_the_pictures_of_the_first(home, tmp_path):
    shutil.copytree(home / "photos", tmp_path / "photos")
    for out in ("photos/run", "photos"):
        for _ in range(2):
            shown = run(
                command(home, "--out", str(tmp_path / out), "--format", "json", photos=str(tmp_path / "photos"))
            )
            assert len(json.loads(shown.stdout)["images"]) == 12
        shutil.rmtree(tmp_path / "photos/run", ignore_errors=True)


def test_odd_file_names(home, tmp_path):
    names = [b"caf\xe9.png", b"x" * 240 + b".png", "\u00fc".encode() * 110 + b".png", b"[red].png"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes((home / "photos/00.png").read_bytes())
    out = tmp_path / "run"
    for form in ("json", "csv", "table"):
        shown = run(command(home, "--out", str(out), "--format", form, photos=str(tmp_path)))
        assert shown.exit_code == 0, shown.stderr
    document = json.loads((out / "results.json").read_text())
    assert {os.fsencode(Path(row["path"]).name) for row in document["images"]} == set(names)
    assert all((out / row["heatmap"]).is_file() for row in document["images"])
    assert r"caf\udce9.png" in (out / "results.csv").read_text()
    assert r"caf\udce9.png" in [title.text for title in read_page(out / "report.html").find("h2")]
    typed = os.fsdecode(os.fsencode(tmp_path) + b"/" + names[0])
    assert run([*command(home, "--out", str(out), "--resume", photos=typed)]).exit_code == 0
    assert os.fsencode(read_run(out)["settings"]["paths"][0]) == os.fsencode(typed)


def test_relative_and_absolute_paths_in_one_table(home, monkeypatch):
    monkeypatch.chdir(home)
    shown = run([*command(home, photos="photos/00.png"), "photos/01.png", "photos/02.png"])
    assert shown.exit_code == 0, shown.exception
    assert str(home / "photos") in shown.stdout.replace("\n", "")
    assert all(f" {number:02}.png" in shown.stdout for number in range(3))
    assert shown.stdout.count("photos") == 1


def test_weights_of_a_localizer_that_is_not_used(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("filo-forge.toml").write_text('[detector]\ndino_weights = "dino.pth"\n')
    assert run(command(home, "--localizer", "none")).exit_code == 0
    with pytest.raises(ForgeError, match=r"dino\.pth"):
        run(command(home, "--localizer", "grounding-dino"))


@pytest.mark.parametrize(
    ("change", "error", "line"),
    [
        (["--category", "gaer"], UnknownCategoryError, "did you mean gear"),
        (["--category", "gear@9"], UnknownVersionError, "gear"),
        (["--threshold", "high"], ThresholdError, "threshold 'high'"),
        (["--threshold", "nan"], ThresholdError, "a number, from-eval:RUN, or auto"),
        (["--threshold", "inf"], ThresholdError, "threshold 'inf'"),
        (["--threshold", "from-eval:nowhere"], ThresholdError, "no run in nowhere"),
        (["--threshold", "from-eval"], ThresholdError, "threshold 'from-eval'"),
        (["--resume"], DetectorError, "type --out DIR"),
        (["--maps", "npy"], DetectorError, "--maps without --out"),
        (["--fail-on", "anomalous"], DetectorError, "type --threshold NUMBER"),
        (["--dino-weights", "x.pth"], DetectorError, "type --localizer grounding-dino"),
        (["--pretrained", "openai"], CheckpointError, "holds its CLIP weights"),
        (["--device", "cuda:99"], DeviceError, "cuda:99"),
        (["--precision", "fp16"], DeviceError, "fp16"),
        (["--batch-size", "0"], DetectorError, "batch size '0'"),
        (["--preset", "vitl"], DetectorError, "both --preset and --checkpoint"),
        (["--checkpoint", "nowhere.safetensors"], DetectorError, "nowhere.safetensors"),
        (["--localizer", "grounding-dino"], DetectorError, "dino-weights"),
    ],
)
def test_requests_that_cannot_work(home, change: list[str], error: type[ForgeError], line: str):
    with pytest.raises(error) as caught:
        run(command(home, *change))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_images(home):
    with pytest.raises(NoImagesError):
        run(command(home, photos="library"))


def test_names_stay_readable_on_a_narrow_screen(home, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run(command(home, "--threshold", "0")).stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert all(f"{number:02}.png" in shown for number in range(12))
    assert "broken tooth" in shown


def test_the_run_folder_says_what_was_done(home, tmp_path):
    out = tmp_path / "run"
    run(command(home, "--out", str(out), "--threshold", "0.4"))
    record = read_run(out)
    settings = record["settings"]
    assert (record["status"], record["images"], record["failed"], record["threshold"]) == ("done", 12, 0, 0.4)
    assert (settings["descriptions"], settings["device"], settings["checkpoint"]) == (
        "gear@1",
        "cpu",
        str(home / "tiny.safetensors"),
    )
    assert settings["content_hash"] == Store(home / "library").load("gear@1").content_hash
    assert len(settings["model"]) == 64


def test_rows_without_descriptions():
    (row,) = judged([row_of()], Threshold.given(0.5))
    assert to_csv([row], Threshold.given(0.5)).splitlines()[1] == "x,0.5,anomalous,,0,,,,given"
    assert judged([row_of()], None)[0]["verdict"] is None


@pytest.mark.parametrize(
    ("threshold", "bad_file", "code"), [("-9", False, 3), ("-9", True, 3), ("9", False, 0), ("9", True, 1)]
)
def test_a_bad_part_has_an_exit_code_of_its_own(home, tmp_path, threshold, bad_file, code):
    (tmp_path / "junk.png").write_bytes(b"junk")
    more = [str(tmp_path / "junk.png")] if bad_file else []
    assert run([*command(home, "--threshold", threshold, "--fail-on", "anomalous"), *more]).exit_code == code
    assert run([*command(home, "--threshold", threshold), *more]).exit_code == int(bad_file)


def test_what_is_scored_is_what_the_record_names(home, tmp_path, monkeypatch):
    """A version that is saved while the model loads changes neither."""
    shutil.copytree(home / "library", tmp_path / "library")
    store = Store(tmp_path / "library")
    original = Detector.__init__

    def save_another(self, *arguments, **options):
        anomalies = (Anomaly(id="late", text="saved too late"),)
        store.save(store.load("gear").model_copy(update={"anomalies": anomalies, "version": 2}))
        original(self, *arguments, **options)

    monkeypatch.setattr(Detector, "__init__", save_another)
    out = tmp_path / "run"
    words = command(home, "--descriptions-dir", str(tmp_path / "library"), "--out", str(out), "--format", "json")
    rows = json.loads(run(words).stdout)["images"]
    assert store.load("gear").version == 2
    assert read_run(out)["settings"]["descriptions"] == "gear@1"
    assert {entry["text"] for row in rows for entry in row["descriptions"]} == {"broken tooth", "rust <b>stains</b>"}
