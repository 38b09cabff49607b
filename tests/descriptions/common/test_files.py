"""Whole or absent: atomic writes."""

import os
import stat
from multiprocessing import get_context
from pathlib import Path

import pytest

from descriptions.common.files import atomic_write, staged


def _claim(path: Path, text: str) -> bool:
    try:
        atomic_write(path, text, exclusive=True)
    except FileExistsError:
        return False
    return True


def test_text_and_bytes_arrive_whole(tmp_path: Path) -> None:
    atomic_write(tmp_path / "new" / "a.txt", "grün\n")
    atomic_write(tmp_path / "new" / "b.bin", b"\x00\xff")
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "grün\n"
    assert (tmp_path / "new" / "b.bin").read_bytes() == b"\x00\xff"


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.txt"
    atomic_write(target, "old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_umask_decides_who_can_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        atomic_write(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_of_many_exclusive_writers_exactly_one_wins(tmp_path: Path) -> None:
    target = tmp_path / "v1.yaml"
    with get_context("spawn").Pool(4) as pool:
        won = pool.starmap(_claim, [(target, f"writer {number}") for number in range(8)])
    assert sum(won) == 1
    assert target.read_text() == f"writer {won.index(True)}"
    assert list(tmp_path.iterdir()) == [target]


def test_a_staged_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "model.bin"

    def write_half() -> None:
        with staged(target) as part:
            part.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with staged(target) as part:
        part.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]
