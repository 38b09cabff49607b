"""`detector detect --out`: what is kept image by image, how a stopped run goes on, and folders that cannot be used."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from descriptions.store import Store
from detector.detect.detector import Detector
from detector.errors import OutputError
from detector.localize.base import NoLocalizer
from detector.report import map_files
from detector.runs import detect_output, detect_pictures, journal
from detector.runs.detect_request import DetectRequest, identity
from detector.runs.journal import Journal
from detector.runs.record import read_run
from detector.scoring.map_scale import MapSummary
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import tiny_filo
from tests.support.detecting import command, count_scored, make_workplace, row_of, run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("home"))


def stop_after(monkeypatch, images: int):
    """Ctrl-C when this many images are kept."""
    original = Journal.add
    count = iter(range(images))

    def add(self, *arguments):
        if next(count, None) is None:
            raise KeyboardInterrupt
        original(self, *arguments)

    monkeypatch.setattr(Journal, "add", add)


def cut_in_a_box(text: bytes) -> bytes:
    """Ends with a brace, as a whole line does."""
    return text[: text.rindex(b"},") + 1]


def test_resume_does_only_what_is_missing(home, tmp_path, monkeypatch):
    out = str(tmp_path / "run")
    stop_after(monkeypatch, 5)
    stopped = run(command(home, "--out", out, "--format", "json"))
    assert stopped.exit_code == 130
    assert "the same command with --resume goes on" in stopped.stderr
    rows = json.loads(stopped.stdout)["images"]
    assert [Path(row["path"]).name for row in rows] == [f"{number:02}.png" for number in range(5)]
    assert all((tmp_path / "run" / row["heatmap"]).is_file() for row in rows)
    monkeypatch.undo()
    scored = count_scored(monkeypatch)
    whole = json.loads(run(command(home, "--out", out, "--format", "json", "--resume")).stdout)
    assert sum(scored) == 7
    assert [Path(row["path"]).name for row in whole["images"]] == [f"{number:02}.png" for number in range(12)]
    once = json.loads(run(command(home, "--out", str(tmp_path / "once"), "--format", "json")).stdout)
    assert whole == once
    with pytest.raises(OutputError, match="other settings"):
        run(command(home, "--out", out, "--resume", "--tile", "64"))


@pytest.mark.parametrize(
    ("cut", "again"), [(lambda text: text[:-1], 0), (lambda text: text[:-40], 1), (cut_in_a_box, 1)]
)
def test_resume_after_a_kill_in_the_middle_of_a_line(home, tmp_path, monkeypatch, cut, again: int):
    out = tmp_path / "run"
    run(command(home, "--out", str(out)))
    kept = out / "detections.jsonl"
    kept.write_bytes(cut(kept.read_bytes()))
    scored = count_scored(monkeypatch)
    result = run(command(home, "--out", str(out), "--resume", "--format", "json"))
    assert len(json.loads(result.stdout)["images"]) == 12
    assert sum(scored) == again
    assert len(kept.read_text().splitlines()) == 12


def test_resume_scores_a_replaced_image_again(home, tmp_path, monkeypatch):
    photos, out = shutil.copytree(home / "photos", tmp_path / "photos"), str(tmp_path / "run")
    before = json.loads(run([*command(home, "--out", out, "--format", "json", photos=str(photos))]).stdout)["images"]
    (photos / "03.png").write_bytes((home / "photos/04.png").read_bytes())
    scored = count_scored(monkeypatch)
    after = json.loads(run(command(home, "--out", out, "--format", "json", "--resume", photos=str(photos))).stdout)
    assert scored == [1]
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
    scored = count_scored(monkeypatch)
    resumed = run(command(home, "--out", out, "--resume"))
    assert (resumed.exit_code, sum(scored)) == (0, 5)
    assert "stopped run" not in run(command(home, "--out", out)).stderr
    assert sum(scored) == 5 + 12


@pytest.mark.parametrize("where", [journal, map_files, detect_pictures, detect_output])
def test_full_disk(home, tmp_path, monkeypatch, where):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, "atomic_write", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run(command(home, "--out", str(tmp_path / "run")))
    assert read_run(tmp_path / "run")["status"] == "failed"
    assert not list(tmp_path.rglob("*.part"))


def test_a_journal_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(_path):
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
        kept.add(row_of(), MapSummary(0.1, 0.5, ()))


def test_out_is_a_file(home, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written to"):
        run(command(home, "--out", str(tmp_path / "file")))


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
    request = DetectRequest(paths=(), category="gear")
    detector = Detector(tiny_filo(), store=Store(Path("none")), device="cpu")
    before = identity(request, detector)
    detector.predictor.localizer = NoLocalizer()
    assert identity(request, detector) != before


def test_resume_with_another_threshold_scores_nothing_and_draws_again(home, tmp_path, monkeypatch):
    out = tmp_path / "run"
    good = json.loads(run(command(home, "--out", str(out), "--threshold", "9", "--format", "json")).stdout)["images"]
    before = [(out / row["heatmap"]).read_bytes() for row in good]
    scored = count_scored(monkeypatch)
    again = command(home, "--out", str(out), "--threshold", "-9", "--format", "json", "--resume")
    bad = json.loads(run(again).stdout)["images"]
    assert scored == []
    assert {row["verdict"] for row in bad} == {"anomalous"}
    assert [row["heatmap"] for row in bad] == [row["heatmap"] for row in good]
    assert all((out / row["heatmap"]).read_bytes() != old for row, old in zip(bad, before, strict=True))


@pytest.mark.parametrize("gone", ["maps/raw", "maps"])
def test_resume_scores_again_what_has_lost_its_map(home, tmp_path, monkeypatch, gone):
    out = tmp_path / "run"
    run(command(home, "--out", str(out), "--maps", "npy"))
    ending = "png" if gone == "maps/raw" else "npy"
    next((out / gone).glob(f"03-*.{ending}")).unlink()
    scored = count_scored(monkeypatch)
    rows = json.loads(run(command(home, "--out", str(out), "--maps", "npy", "--resume", "--format", "json")).stdout)
    assert sum(scored) == 1
    assert all((out / row["map"]).is_file() and (out / row["heatmap"]).is_file() for row in rows["images"])


def test_a_damaged_line_costs_one_image(home, tmp_path, monkeypatch):
    out = tmp_path / "run"
    run(command(home, "--out", str(out)))
    lines = (out / "detections.jsonl").read_text().splitlines()
    changes = [{"map": [0.1, 0.5]}, {"map": [0.1, 0.5, [0.5, 0.5, 0.5]]}, {"map": None}]
    for place, change in enumerate(changes):
        lines[place] = json.dumps(json.loads(lines[place]) | change)
    (out / "detections.jsonl").write_text("\n".join(lines) + "\n")
    scored = count_scored(monkeypatch)
    assert run(command(home, "--out", str(out), "--resume")).exit_code == 0
    assert sum(scored) == len(changes)


def test_ctrl_c_while_drawing_keeps_what_is_drawn(home, tmp_path, monkeypatch):
    original, count = detect_pictures.draw_row, iter(range(4))

    def draw(*arguments, **options):
        if next(count, None) is None:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(detect_pictures, "draw_row", draw)
    out = tmp_path / "run"
    stopped = run(command(home, "--out", str(out), "--format", "json"))
    assert stopped.exit_code == 130
    rows = json.loads(stopped.stdout)["images"]
    assert [row["heatmap"] is not None for row in rows] == [True] * 4 + [False] * 8
    assert read_run(out)["status"] == "interrupted"


def test_a_photo_that_goes_away_before_it_is_drawn(home, tmp_path, monkeypatch):
    photos, out = shutil.copytree(home / "photos", tmp_path / "photos"), tmp_path / "run"
    original = Journal.add

    def add(self, row, summary):
        original(self, row, summary)
        if row["path"].endswith("11.png"):
            (photos / "02.png").unlink()

    monkeypatch.setattr(Journal, "add", add)
    result = run(command(home, "--out", str(out), "--format", "json", photos=str(photos)))
    assert result.exit_code == 0
    assert "02.png has no picture: no file at" in result.stderr.replace("\n", " ")
    rows = json.loads(result.stdout)["images"]
    assert [Path(row["path"]).name for row in rows if row["heatmap"] is None] == ["02.png"]
