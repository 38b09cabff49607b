"""The queue before the model: bounded, fair to neighbours, and finished at the end."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from descriptions.common.errors import ForgeError
from detector.detect.detection import Detection, Failure
from detector.serve.engine.engine import Engine, Picture, Words
from detector.serve.errors import BusyError, StoppingError, TooLargeError
from detector.serve.run import run_serve
from tests.support.serving import tiny_settings, wait_until


@pytest.fixture
def engine(home: Path) -> Iterator[Engine]:
    from descriptions.store import Store

    settings = tiny_settings(home)
    made = Engine(settings.create_detector(Store.open(settings.descriptions_dir)), limit=6, batch=4, wait=0.2)
    yield made
    made.close()


def words(engine: Engine) -> Words:
    return Words(engine.detector.store.load("gear"))


def photos(home: Path, count: int) -> list[Picture]:
    return [Picture(f"p{number}", home / "photos" / f"{number:02}.png") for number in range(count)]


class Held:
    """The model's thread, kept busy until the block ends."""

    def __init__(self, engine: Engine) -> None:
        self.gate, self.entered = threading.Event(), threading.Event()
        self.engine = engine

    def _wait(self) -> None:
        self.entered.set()
        self.gate.wait(30)

    def __enter__(self) -> None:
        self.engine.call(self._wait)
        assert self.entered.wait(30)

    def __exit__(self, *_: object) -> None:
        self.gate.set()


def test_scores_are_those_of_the_detector(engine: Engine, home: Path) -> None:
    asked = photos(home, 5)
    got = [future.result(30) for future in engine.submit(asked, words(engine))]
    expected = list(engine.detector.predict([picture.path for picture in asked], "gear"))
    assert [each.score for each in got if isinstance(each, Detection)] == [each.score for each in expected]
    assert [each.path for each in got] == [picture.name for picture in asked]


def test_pictures_of_several_callers_share_a_batch(engine: Engine, home: Path) -> None:
    with Held(engine):
        futures = [engine.submit([picture], words(engine))[0] for picture in photos(home, 4)]
    for future in futures:
        future.result(30)
    text = engine.metrics.text().decode()
    assert 'filo_forge_batch_size_bucket{le="2.0"} 0.0' in text
    assert 'filo_forge_batch_size_bucket{le="4.0"} 1.0' in text


def test_a_full_queue_refuses_and_a_cancelled_picture_gives_its_place_away(engine: Engine, home: Path) -> None:
    with Held(engine):
        futures = engine.submit(photos(home, 6), words(engine))
        with pytest.raises(BusyError, match="the queue is full: 6 of 6 pictures wait"):
            engine.submit(photos(home, 1), words(engine))
        with pytest.raises(BusyError):
            engine.require_room()
        assert futures[5].cancel()
        (late,) = engine.submit(photos(home, 1), words(engine))
    assert isinstance(late.result(30), Detection)
    assert isinstance(futures[0].result(30), Detection)
    wait_until(lambda: engine.held == 0)


def test_more_pictures_than_the_queue_ever_holds_are_no_matter_of_waiting(engine: Engine, home: Path) -> None:
    with pytest.raises(TooLargeError, match="7 pictures in one request; expected at most 6"):
        engine.submit(photos(home, 7), words(engine))


def test_a_picture_that_fails_fails_alone(engine: Engine, home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "x.png"
    broken.write_bytes((home / "photos" / "00.png").read_bytes()[:200])
    good = photos(home, 2)
    first, bad, last = (
        f.result(30) for f in engine.submit([good[0], Picture("mine.png", broken), good[1]], words(engine))
    )
    assert isinstance(first, Detection)
    assert isinstance(last, Detection)
    assert isinstance(bad, Failure)
    assert bad.path == "mine.png"
    assert bad.error.startswith("mine.png cannot be read: ")


def test_a_picture_that_breaks_the_model_fails_alone(engine: Engine, home: Path) -> None:
    def rescore(detection: Detection) -> Detection:
        if detection.path == "p1":
            raise RuntimeError("no")
        return detection

    with Held(engine):
        futures = engine.submit(photos(home, 3), words(engine)._replace(rescore=rescore))
    results = [future.result(30) for future in futures]
    assert [isinstance(each, Failure) for each in results] == [False, True, False]
    assert results[1] == Failure("p1", "p1 cannot be scored: RuntimeError: no")


def test_what_is_called_on_the_models_thread_answers_or_fails(engine: Engine) -> None:
    assert engine.call(lambda: threading.current_thread().name).result(30) == "model"
    with pytest.raises(ZeroDivisionError):
        engine.call(lambda: 1 // 0).result(30)
    assert engine.call(lambda: 3).result(30) == 3


def test_a_stopping_engine_finishes_what_it_took_and_takes_no_more(engine: Engine, home: Path) -> None:
    with Held(engine):
        futures = engine.submit(photos(home, 3), words(engine))
        closing = threading.Thread(target=engine.close)
        closing.start()
        wait_until(lambda: engine._stopping)
        with pytest.raises(StoppingError):
            engine.submit(photos(home, 1), words(engine))
    closing.join(30)
    assert all(isinstance(future.result(0), Detection) for future in futures)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"category": "gaer"}, "did you mean gear"), ({"data": Path("nowhere")}, "no data set at nowhere")],
)
def test_what_the_page_cannot_open_is_said_before_anything_answers(home, changes, said, capsys):
    with pytest.raises(ForgeError, match=said):
        run_serve(tiny_settings(home, **changes), browser=False)
    assert "answers at" not in capsys.readouterr().err
