"""`detector detect` from end to end with a tiny model: formats, outputs, bad input, resuming, interruption."""

import csv
import errno
import io
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from descriptions.errors import ForgeError, UnknownCategoryError, UnknownVersionError
from descriptions.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector import detect_run, journal
from detector.checkpoint import CheckpointError, save_checkpoint
from detector.cli import app
from detector.detect import Detector, Failure
from detector.detections import ThresholdError, judged, other_origin, resolve_threshold, to_csv
from detector.errors import DetectorError, OutputError
from detector.finding import NoImagesError
from detector.localize.base import NoLocalizer
from detector.presets import PresetError, load_model, names, preset_config, resolve_preset
from detector.run import read_run
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A library, a checkpoint and twelve photos."""
    home = tmp_path_factory.mktemp("home")
    anomalies = (Anomaly(id="tooth", text="broken tooth"), Anomaly(id="rust", text="rust <b>stains</b>"))
    Store(home / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(tiny_filo(), home / "tiny.safetensors", whole=True)
    (home / "photos").mkdir()
    for number in range(12):
        values = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(values).save(home / "photos" / f"{number:02}.png")
    return home


def command(home, *extra: str, photos: str = "photos") -> list[str]:
    base = ["detect", str(home / photos), "--category", "gear", "--descriptions-dir", str(home / "library")]
    return [*base, "--checkpoint", str(home / "tiny.safetensors"), "--device", "cpu", *extra]


def run(arguments: list[str]):
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, ForgeError):
        raise result.exception
    return result


def test_json_is_one_document(home):
    result = run(command(home, "--format", "json"))
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["failed"] == []
    assert document["descriptions"] == "gear@1"
    first = document["images"][0]
    assert set(first) == {"path", "score", "verdict", "region", "boxes", "descriptions", "heatmap"}
    assert set(first["descriptions"][0]) == {"id", "text", "similarity"}
    assert first["verdict"] in ("good", "anomalous")


def test_csv_and_table(home):
    rows = list(csv.DictReader(io.StringIO(run(command(home, "--format", "csv", "--threshold", "9")).stdout)))
    assert len(rows) == 12
    assert {row["verdict"] for row in rows} == {"good"}
    shown = run(command(home, "--threshold", "-9")).stdout
    assert "11.png" in shown
    assert "anomalous" in shown
    assert "threshold 9 calls everything good" in run(command(home, "--threshold", "9")).stderr
    assert "guessed" not in run(command(home, "--threshold", "-9")).stderr
    assert "guessed from these 12 images: most of them must be good" in run(command(home)).stderr


def test_output_folder(home, tmp_path):
    out = tmp_path / "run"
    assert run(command(home, "--out", str(out))).exit_code == 0
    document = json.loads((out / "results.json").read_text())
    assert all((out / row["heatmap"]).is_file() for row in document["images"])
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 12
    assert "http" not in page
    assert page.count("<article ") == page.count("data-score=") == 12
    assert page.count('stroke-opacity=".6"') == 12
    assert 'name="show" value="anomalous"' in page
    assert "rust &lt;b&gt;stains&lt;/b&gt;" in page
    assert len((out / "results.csv").read_text().splitlines()) == 13
    assert not list(out.rglob("*.part"))


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
    assert (out / "report.html").read_text().count("<p>failed: ") == 10


def test_a_missing_file_alone_is_one_line(home):
    result = run(command(home, photos="none.png"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [f"failed: no file at {home / 'none.png'}"]


def test_resume_does_only_what_is_missing(home, tmp_path, monkeypatch):
    out = str(tmp_path / "run")
    stop_after(monkeypatch, 5)
    stopped = run(command(home, "--out", out, "--format", "json"))
    assert stopped.exit_code == 130
    assert "the same command with --resume goes on" in stopped.stderr
    assert len(json.loads(stopped.stdout)["images"]) == 5
    monkeypatch.undo()
    drawn = []
    monkeypatch.setattr(detect_run, "_draw", lambda folder, found: drawn.append(found.path))
    whole = run(command(home, "--out", out, "--format", "json", "--resume"))
    assert len(drawn) == 7
    assert [row["path"] for row in json.loads(whole.stdout)["images"]] == sorted(
        row["path"] for row in json.loads(whole.stdout)["images"]
    )
    with pytest.raises(OutputError, match="other settings"):
        run(command(home, "--out", out, "--resume", "--tile", "64"))


def stop_after(monkeypatch, images: int):
    """Ctrl-C after some images."""
    original = detect_run._draw
    count = iter(range(images))

    def draw(folder, found):
        if next(count, None) is None:
            raise KeyboardInterrupt
        return original(folder, found)

    monkeypatch.setattr(detect_run, "_draw", draw)


def count_drawn(monkeypatch) -> list[str]:
    """Paths of images that are scored, from now on."""
    drawn, original = [], detect_run._draw
    monkeypatch.setattr(
        detect_run, "_draw", lambda folder, found: (drawn.append(found.path), original(folder, found))[1]
    )
    return drawn


def cut_in_a_box(text: bytes) -> bytes:
    """Ends with a brace, as a whole line does."""
    return text[: text.rindex(b"},") + 1]


@pytest.mark.parametrize(
    ("cut", "again"), [(lambda text: text[:-1], 0), (lambda text: text[:-40], 1), (cut_in_a_box, 1)]
)
def test_resume_after_a_kill_in_the_middle_of_a_line(home, tmp_path, monkeypatch, cut, again: int):
    out = tmp_path / "run"
    run(command(home, "--out", str(out)))
    kept = out / "detections.jsonl"
    kept.write_bytes(cut(kept.read_bytes()))
    drawn = count_drawn(monkeypatch)
    result = run(command(home, "--out", str(out), "--resume", "--format", "json"))
    assert len(json.loads(result.stdout)["images"]) == 12
    assert len(drawn) == again
    assert len(kept.read_text().splitlines()) == 12


def test_resume_scores_a_replaced_image_again(home, tmp_path, monkeypatch):
    photos, out = shutil.copytree(home / "photos", tmp_path / "photos"), str(tmp_path / "run")
    before = json.loads(run([*command(home, "--out", out, "--format", "json", photos=str(photos))]).stdout)["images"]
    (photos / "03.png").write_bytes((home / "photos/04.png").read_bytes())
    drawn = count_drawn(monkeypatch)
    after = json.loads(run(command(home, "--out", out, "--format", "json", "--resume", photos=str(photos))).stdout)
    assert drawn == [str(photos / "03.png")]
    scores = [row["score"] for row in before]
    assert [row["score"] for row in after["images"]] == pytest.approx([*scores[:3], scores[4], *scores[4:]], abs=1e-5)


def test_a_run_that_should_have_been_resumed_loses_nothing(home, tmp_path, monkeypatch):
    out = str(tmp_path / "run")
    stop_after(monkeypatch, 7)
    run(command(home, "--out", out))
    monkeypatch.undo()
    for other in ([], ["--tile", "64"]):
        stop_after(monkeypatch, 1)
        again = run(command(home, "--out", out, *other))
        assert ("holds 7 of these images from a stopped run; --resume skips them" in again.stderr) is not other
        monkeypatch.undo()
    drawn = count_drawn(monkeypatch)
    resumed = run(command(home, "--out", out, "--resume"))
    assert (resumed.exit_code, len(drawn)) == (0, 5)
    assert "stopped run" not in run(command(home, "--out", out)).stderr
    assert len(drawn) == 5 + 12


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
    assert r"caf\udce9.png" in (out / "report.html").read_text()
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


@pytest.mark.parametrize("where", ["atomic_write", "add"])
def test_full_disk(home, tmp_path, monkeypatch, where: str):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "atomic_write":
        monkeypatch.setattr(journal, "atomic_write", full)
    else:
        monkeypatch.setattr(detect_run, "atomic_write", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run(command(home, "--out", str(tmp_path / "run")))


def test_a_journal_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / journal.NAME).touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        journal.Journal(tmp_path, {}, resume=True)


def test_a_refused_folder_stays_as_it_was(home, tmp_path, monkeypatch):
    out = tmp_path / "judged"
    out.mkdir()
    (out / "run.json").write_text(json.dumps({"command": ["detector", "eval"], "status": "done"}))
    arguments = command(home, "--out", str(out))
    monkeypatch.setattr("sys.argv", ["detector", *arguments])
    with pytest.raises(OutputError, match="holds the results of `detector eval`"):
        run(arguments)
    assert [path.name for path in out.iterdir()] == ["run.json"]


def test_disk_full_while_appending(tmp_path):
    kept = journal.Journal(tmp_path, {}, resume=False)
    kept.path.mkdir()
    with pytest.raises(OutputError):
        kept.add({"path": "x"})


def test_out_is_a_file(home, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written to"):
        run(command(home, "--out", str(tmp_path / "file")))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (["--category", "gaer"], UnknownCategoryError),
        (["--category", "gear@9"], UnknownVersionError),
        (["--threshold", "high"], ThresholdError),
        (["--threshold", "nan"], ThresholdError),
        (["--threshold", "from-eval:nowhere"], ThresholdError),
        (["--threshold", "from-eval"], ThresholdError),
        (["--resume"], DetectorError),
        (["--dino-weights", "x.pth"], DetectorError),
        (["--pretrained", "openai"], CheckpointError),
        (["--device", "cuda:99"], ForgeError),
        (["--precision", "fp16"], ForgeError),
        (["--batch-size", "0"], ForgeError),
        (["--preset", "vitl"], ForgeError),
        (["--checkpoint", "nowhere.safetensors"], ForgeError),
        (["--localizer", "grounding-dino"], ForgeError),
    ],
)
def test_requests_that_cannot_work(home, change: list[str], error: type[ForgeError]):
    with pytest.raises(error) as caught:
        run(command(home, *change))
    assert "\n" not in str(caught.value)


def test_a_folder_without_images(home, tmp_path):
    with pytest.raises(NoImagesError):
        run(command(home, photos="library"))


def test_presets():
    assert names()[0] == "mini"
    with pytest.raises(PresetError, match="did you mean vitl"):
        resolve_preset("vit1")
    assert resolve_preset("vitl").name == "vitl"


def test_a_preset_without_weights(tmp_path, monkeypatch):
    from detector import presets

    (tmp_path / "mini").mkdir()
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    with pytest.raises(PresetError, match="not installed"):
        presets.load_preset()


def test_thresholds(tmp_path):
    rng = random.Random(0)
    scores = [rng.gauss(0.4, 0.01) for _ in range(40)] + [0.9]
    threshold = resolve_threshold("auto", scores, "gear")
    assert threshold is not None
    assert 0.41 < threshold < 0.5
    assert resolve_threshold("auto", scores[:7], "gear") is None
    assert resolve_threshold("auto", [0.5] * 9 + [0.4], "gear") is None
    assert resolve_threshold("0.25", [], "gear") == 0.25
    (tmp_path / "run.json").write_text(json.dumps({"thresholds": {"gear": 0.3}}))
    assert resolve_threshold(f"from-eval:{tmp_path}", [], "gear@2") == 0.3
    assert resolve_threshold(f"from-eval:{tmp_path}", [], "Gear") == 0.3
    with pytest.raises(ThresholdError, match=r"no threshold for nut; .*; it holds: gear"):
        resolve_threshold(f"from-eval:{tmp_path}", [], "nut")
    for record in ("{}", '{"thresholds": {"gear": "high"}}', '{"thresholds": 3}'):
        (tmp_path / "run.json").write_text(record)
        with pytest.raises(ThresholdError, match="no threshold for gear"):
            resolve_threshold(f"from-eval:{tmp_path}", [], "gear")
    with pytest.raises(ThresholdError, match="no run in"):
        resolve_threshold(f"from-eval:{tmp_path / 'none'}", [], "gear")


def test_rows_without_descriptions():
    row = {"path": "x", "score": 0.5, "region": None, "boxes": [], "descriptions": [], "heatmap": None, "verdict": None}
    assert to_csv(judged([row], 0.5)).splitlines()[1] == "x,0.5,anomalous,,0,,,"
    assert judged([row], None)[0]["verdict"] is None


def test_the_report_says_who_is_good_and_where_the_threshold_lies(home, tmp_path):
    run(command(home, "--out", str(tmp_path), "--threshold", "-9"))
    page = (tmp_path / "report.html").read_text()
    assert page.count('<b class="anomalous">anomalous</b>') == 12
    assert "threshold -9.000</text>" in page
    assert "12 images, 12 anomalous, 0 failed" in page
    run([*command(home, "--out", str(tmp_path / "one"), photos="photos/00.png")])
    page = (tmp_path / "one" / "report.html").read_text()
    assert "1 images, no verdicts (no threshold)" in page
    assert "<svg" not in page


def test_names_stay_readable_on_a_narrow_screen(home, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run(command(home, "--threshold", "0")).stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert all(f"{number:02}.png" in shown for number in range(12))
    assert "broken tooth" in shown


def test_page_without_pictures(tmp_path, monkeypatch):
    from detector import report_detect

    monkeypatch.setattr(report_detect, "MAX_PICTURES", 1)
    row = {
        "path": "x",
        "score": 0.5,
        "region": None,
        "boxes": [],
        "descriptions": [],
        "heatmap": "gone.png",
        "verdict": None,
    }
    report_detect.write_html(tmp_path / "r.html", [row, row], [Failure("y", "y is <empty>")], {"title": "t", "n": None})
    page = (tmp_path / "r.html").read_text()
    assert "1 more are in" in page
    assert "y is &lt;empty&gt;" in page


def test_a_preset_with_weights_takes_no_others():
    with pytest.raises(PresetError, match="brings its own CLIP weights"):
        load_model("mini", None, "openai")


def test_preset_and_checkpoint_exclude_each_other(tmp_path):
    with pytest.raises(DetectorError, match="both --preset and --checkpoint"):
        load_model("mini", tmp_path / "x")


def test_configuration_of_a_preset():
    assert preset_config("vitl").backbone == "ViT-L-14-336"


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


def test_the_record_of_a_run_that_was_stopped_or_done_in_part(home, tmp_path, monkeypatch):
    (tmp_path / "bad.png").touch()
    run([*command(home, "--out", str(tmp_path / "part")), str(tmp_path / "bad.png")])
    assert (read_run(tmp_path / "part")["status"], read_run(tmp_path / "part")["failed"]) == ("partial", 1)
    stop_after(monkeypatch, 2)
    run(command(home, "--out", str(tmp_path / "stopped")))
    assert (read_run(tmp_path / "stopped")["status"], read_run(tmp_path / "stopped")["images"]) == ("interrupted", 2)


def test_resume_notices_other_weights_under_the_same_name(home, tmp_path):
    own, out = tmp_path / "own.safetensors", str(tmp_path / "run")
    asked = [*command(home, "--out", out, "--resume"), "--checkpoint", str(own)]
    save_checkpoint(tiny_filo(), own, whole=True)
    run(asked)
    own.rename(tmp_path / "moved.safetensors")
    run([*asked, "--checkpoint", str(tmp_path / "moved.safetensors")])
    save_checkpoint(tiny_filo(seed=1), own, whole=True)
    with pytest.raises(OutputError, match="other settings"):
        run(asked)


def test_resume_notices_another_localizer():
    request = detect_run.DetectRequest(paths=(), category="gear")
    detector = Detector(tiny_filo(), store=Store(Path("none")), device="cpu")
    before = detect_run.identity(request, detector)
    detector.predictor.localizer = NoLocalizer()
    assert detect_run.identity(request, detector) != before


def test_the_threshold_of_a_real_evaluation(home, tmp_path):
    data = make_dataset(tmp_path / "data", good=2, bad=1)
    given = ["--descriptions-dir", str(home / "library"), "--checkpoint", str(home / "tiny.safetensors")]
    out = ["--out", str(tmp_path / "eval"), "--device", "cpu", "--draws", "2", "--no-cache", "--no-contributions"]
    assert run(["eval", "--data", str(data), "--descriptions", "gear@1", *given, *out]).exit_code == 0
    same = run(command(home, "--threshold", f"from-eval:{tmp_path / 'eval'}", "--format", "json"))
    assert "warning" not in same.stderr
    found = json.loads(same.stdout)
    assert found["threshold"] == read_run(tmp_path / "eval")["thresholds"]["gear"]
    assert {row["verdict"] for row in found["images"]} <= {"good", "anomalous"}
    other = run(command(home, "--threshold", f"from-eval:{tmp_path / 'eval'}", "--localizer", "none")).stderr
    assert "was found with localizer self; this run has localizer none" in other.replace("\n", " ")


def test_a_threshold_of_other_words_or_another_model(tmp_path):
    file = DescriptionFile(category="gear", object_name="gear", version=2, anomalies=(Anomaly(id="x", text="rust"),))
    here = {"preset": None, "checkpoint": None, "settings": {"gate": "soft"}}
    here |= {"device": "cpu", "precision": "fp32", "tile": None, "max_size": 4096}
    there = {**here, "hashes": {"Gear": {"@1": "0123456789", "@2": file.content_hash}}, "scoring": {}, "preset": "vitl"}
    (tmp_path / "run.json").write_text(json.dumps({"settings": there}))
    said = other_origin(f"from-eval:{tmp_path}", file, here)
    assert said.endswith(
        "was found with descriptions @1 of content 01234567, model vitl; this run has descriptions gear@2, model mini"
    )
    there |= {"hashes": {"Gear": {"@2": file.content_hash}}, "preset": "mini"}
    (tmp_path / "run.json").write_text(json.dumps({"settings": there}))
    assert other_origin(f"from-eval:{tmp_path}", file, here) == other_origin("0.5", file, here) == ""


@pytest.mark.parametrize(
    ("option", "value", "was", "now"),
    [
        ("precision", "bf16", "fp32", "bf16"),
        ("tile", 64, "None", "64"),
        ("max_size", 100, "4096", "100"),
    ],
)
def test_a_threshold_found_in_another_way(tmp_path, option, value, was, now):
    file = DescriptionFile(category="gear", object_name="gear", anomalies=(Anomaly(id="x", text="rust"),))
    here = {"preset": None, "checkpoint": None, "settings": {}, "device": "cpu", "precision": "auto"}
    here |= {"tile": None, "max_size": 4096}
    ran = {**here, "precision": "fp32", "adapter": True, "decoders": "all"}
    there = ran | {"hashes": {"gear": {"gear@1": file.content_hash}}, "scoring": {}}
    (tmp_path / "run.json").write_text(json.dumps({"settings": there}))
    assert other_origin(f"from-eval:{tmp_path}", file, here) == ""
    said = other_origin(f"from-eval:{tmp_path}", file, here | {option: value})
    assert said.endswith(f"was found with {option} {was}; this run has {option} {now}")
    (tmp_path / "run.json").write_text(json.dumps({"settings": there | {"adapter": False, "decoders": "conv"}}))
    assert "found with adapter False, decoders conv" in other_origin(f"from-eval:{tmp_path}", file, here)
