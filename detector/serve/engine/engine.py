"""One model in memory, one thread that runs it, and a bounded queue before it.

    engine = Engine(detector)
    for future in engine.submit([Picture("a.png", path)], description):
        print(future.result())

Pictures of many callers go through the model together, at most `batch` of them or those of `wait` seconds. A picture
that fails fails alone. Cancelling a future gives its place away.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from PIL import Image

from descriptions.common.errors import ForgeError
from descriptions.format.schema import DescriptionFile
from detector.detect.detection import Detection, Failure
from detector.detect.detector import Detector
from detector.images.load import ImageError
from detector.serve.engine.metrics import Metrics
from detector.serve.errors import BusyError, StoppingError, TooLargeError

T = TypeVar("T")
QUEUE = 64
"""Pictures that are held at most, the ones in the model included."""
WAIT = 0.005
"""Seconds that an unfilled batch waits for others."""


class Picture(NamedTuple):
    """A picture file and what its sender calls it."""

    name: str
    path: Path
    refusal: str = ""
    """Why it is not even opened; empty for what looks like a picture."""


class Words(NamedTuple):
    """What pictures are scored with."""

    description: DescriptionFile
    rescore: Callable[[Detection], Detection] | None = None
    """Takes reference photos into account; runs on the model's thread."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for pictures that may share a batch."""
        entries = tuple((entry.id, entry.enabled) for entry in self.description.anomalies)
        return self.description.content_hash, entries, id(self.rescore) if self.rescore else None


@dataclass
class _Item:
    picture: Picture
    words: Words
    future: "Future[Detection | Failure]" = field(default_factory=Future)
    asked: float = field(default_factory=time.perf_counter)
    image: Image.Image | None = None
    failure: str = ""


@dataclass
class _Call:
    """Anything else that needs the model's thread."""

    function: Callable[[], Any]
    future: "Future[Any]" = field(default_factory=Future)


_STOP = object()


class Engine:
    """The model's thread, the threads that decode for it, and their queues.

    Args:
        detector: scores; nobody else may use its model while the engine lives.
        limit: pictures held at most; more are refused with `BusyError`.
        batch: pictures in one step at most; by device when None.
        wait: seconds that an unfilled batch waits for pictures that are being decoded.
    """

    def __init__(self, detector: Detector, *, limit: int = QUEUE, batch: int | None = None, wait: float = WAIT) -> None:
        self.detector, self.limit, self.wait = detector, limit, wait
        self.batch = batch or detector.batch_size
        self.metrics = Metrics(lambda: self.held)
        self.held = 0
        """Pictures that were taken and are not done."""
        self._lock = threading.Lock()
        self._stopping = False
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ready: queue.Queue[Any] = queue.Queue(2 * self.batch)  # decoded pictures are large
        self._loaders = [
            threading.Thread(target=self._load, name=f"load-{number}", daemon=True)
            for number in range(detector.workers)
        ]
        self._worker = threading.Thread(target=self._work, name="model", daemon=True)
        for thread in (*self._loaders, self._worker):
            thread.start()

    def submit(self, pictures: Sequence[Picture], words: Words) -> "list[Future[Detection | Failure]]":
        """Take pictures, all or none.

        Args:
            pictures: to score; the files stay where they are until their futures are done.
            words: to score them with.

        Raises:
            TooLargeError: more pictures than the queue ever holds.
            BusyError: no room for all of them now.
            StoppingError: the engine is closed.
        """
        if len(pictures) > self.limit:
            raise TooLargeError(
                f"{len(pictures)} pictures in one request", expected=f"at most {self.limit}",
                hint="send fewer, or POST /v1/detect/batch",
            )  # fmt: skip
        with self._lock:
            self._require_running()
            if self.held + len(pictures) > self.limit:
                self.metrics.refused.inc()
                raise BusyError(f"the queue is full: {self.held} of {self.limit} pictures wait", hint="try again later")
            self.held += len(pictures)
        items = [_Item(picture, words) for picture in pictures]
        for item in items:
            item.future.add_done_callback(self._release)
            self._waiting.put(item)
        return [item.future for item in items]

    def call(self, function: Callable[[], T]) -> "Future[T]":
        """Run something else on the model's thread, between two batches."""
        with self._lock:
            self._require_running()
        call = _Call(function)
        self._waiting.put(call)
        return call.future

    def require_room(self, pictures: int = 1) -> None:
        """Refuse before anything is read.

        Raises:
            BusyError: the queue is full.
        """
        with self._lock:
            self._require_running()
            if self.held + pictures > self.limit:
                self.metrics.refused.inc()
                raise BusyError(f"the queue is full: {self.held} of {self.limit} pictures wait", hint="try again later")

    def close(self) -> None:
        """Finish what was taken, refuse the rest, and end all threads."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        for _ in self._loaders:
            self._waiting.put(_STOP)
        for loader in self._loaders:
            loader.join()
        self._ready.put(_STOP)
        self._worker.join()

    def _require_running(self) -> None:
        if self._stopping:
            raise StoppingError("the server is stopping", hint="ask another one, or try again later")

    def _release(self, future: "Future[Any]") -> None:
        with self._lock:
            self.held -= 1
        failed = not future.cancelled() and isinstance(future.result(), Failure)
        self.metrics.pictures.labels("cancelled" if future.cancelled() else "failed" if failed else "scored").inc()

    def _load(self) -> None:
        while (item := self._waiting.get()) is not _STOP:
            if isinstance(item, _Item):
                if item.future.cancelled():
                    continue
                with self.metrics.stage_seconds.labels("load").time():
                    self._decode(item)
            self._ready.put(item)

    def _decode(self, item: _Item) -> None:
        item.failure = item.picture.refusal
        if item.failure:
            return
        try:
            item.image = self.detector.predictor.load(item.picture.path)
        except ForgeError as error:
            item.failure = renamed(error, item.picture)
        except Exception as error:  # a decoder may raise anything; the next picture must not suffer
            item.failure = f"{item.picture.name} cannot be read: {type(error).__name__}"

    def _work(self) -> None:
        while (first := self._ready.get()) is not _STOP:
            if isinstance(first, _Call):
                _run(first)
                continue
            batch, then = self._filled(first)
            self._score([item for item in batch if item.future.set_running_or_notify_cancel()])
            if isinstance(then, _Call):
                _run(then)
            elif then is _STOP:
                return

    def _filled(self, first: _Item) -> tuple[list[_Item], Any]:
        """A batch, and what came behind it that is no picture."""
        batch, until = [first], time.perf_counter() + self.wait
        while len(batch) < min(self.batch, self.held):
            try:
                item = self._ready.get(timeout=max(until - time.perf_counter(), 0))
            except queue.Empty:
                break
            if not isinstance(item, _Item):
                return batch, item
            batch.append(item)
        return batch, None

    def _score(self, batch: Sequence[_Item]) -> None:
        groups: dict[Any, list[_Item]] = {}
        began = time.perf_counter()
        for item in batch:
            self.metrics.stage_seconds.labels("wait").observe(began - item.asked)
            if item.image is None:
                item.future.set_result(Failure(item.picture.name, item.failure))
            else:
                groups.setdefault(item.words.key, []).append(item)
        for items in groups.values():
            self.metrics.batch_size.observe(len(items))
            try:
                detections = self._detect(items)
            except Exception:  # one of them is at fault; which one shows when each goes alone
                detections = [self._alone(item) for item in items]
            for item, detection in zip(items, detections, strict=True):
                self.metrics.stage_seconds.labels("model").observe((time.perf_counter() - began) / len(items))
                item.future.set_result(detection)

    def _detect(self, items: Sequence[_Item]) -> list[Detection | Failure]:
        words = items[0].words
        images = [item.image for item in items]
        stream = self.detector.stream(images, words.description, detail=words.rescore is not None)
        detections: list[Detection | Failure] = []
        for item, one in zip(items, stream, strict=True):
            name = item.picture.name
            if isinstance(one, Failure):
                detections.append(Failure(name, one.error))
                continue
            named = one._replace(path=name)
            detections.append(words.rescore(named) if words.rescore else named)
        return detections

    def _alone(self, item: _Item) -> Detection | Failure:
        try:
            return self._detect([item])[0]
        except ForgeError as error:
            return Failure(item.picture.name, renamed(error, item.picture))
        except Exception as error:
            return Failure(item.picture.name, f"{item.picture.name} cannot be scored: {type(error).__name__}: {error}")


def renamed(error: ForgeError, picture: Picture) -> str:
    """The sentence of an error with the sender's name for a file in place of ours, and without hints on our side."""
    kind = type(error)
    hint = "" if "filo-forge.toml" in error.hint else error.hint
    text = str(kind(error.problem, expected=error.expected, hint=hint)) if kind is ImageError else str(error)
    return text.replace(str(picture.path), picture.name)


def _run(call: _Call) -> None:
    if not call.future.set_running_or_notify_cancel():
        return
    try:
        call.future.set_result(call.function())
    except BaseException as error:
        call.future.set_exception(error)
