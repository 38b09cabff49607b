"""What people read off the screen."""

import io

from rich.console import Console
from rich.progress import Task

from detector import console


def test_names_that_differ_at_the_end_stay_different_in_a_narrow_table():
    shown = console.table("", "!variant", *(f">number {index}" for index in range(6)))
    for version in (1, 2):
        shown.add_row(f"transistor@{version}", *["99.9\n12.3 45.6"] * 6)
    text = io.StringIO()
    Console(file=text, width=80).print(shown)
    names = [line.split("│")[1].strip() for line in text.getvalue().splitlines() if line.startswith("│")]
    assert [name for name in names if name] == ["transistor@1", "transistor@2"]
    assert text.getvalue().count("45.6") == 12


def test_a_pipe_gets_wide_lines_and_a_user_who_asks_gets_others(monkeypatch):
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console.stdout().width == console.WIDTH
    monkeypatch.setenv("COLUMNS", "60")
    assert console.stdout().width == 60


def test_the_speed_is_that_of_the_whole_run():
    now = [100.0]
    task = Task(0, "", total=10, completed=0, _get_time=lambda: now[0])  # type: ignore[arg-type]
    task.start_time = 100.0
    assert console.SpeedColumn().render(task).plain == ""
    now[0], task.completed = 102.0, 4
    assert console.SpeedColumn().render(task).plain == "2.0/s"
