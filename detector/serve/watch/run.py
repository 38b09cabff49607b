"""What `detector watch` does: score photos as they appear, and keep every result once."""

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import time
from types import FrameType
from typing import Any

from descriptions.format.schema import DescriptionFile
from descriptions.store import Store
from detector import console
from detector.context.storage import SUFFIX, load_bank
from detector.detect.detection import Detection, Failure, Row
from detector.detect.detector import Detector
from detector.detect.references import ReferenceScorer
from detector.images.find import find_images
from detector.runs.detect_request import parse_rate
from detector.runs.threshold import read_threshold
from detector.scoring.feature_cache import fingerprint
from detector.scoring.threshold import Threshold
from detector.scoring.vocabulary import unread_note
from detector.serve.errors import ServeError
from detector.serve.settings import ModelSettings
from detector.serve.watch.folder import Arrival, Arrivals
from detector.serve.watch.journal import WatchJournal
from detector.serve.watch.pause import Pause
from detector.serve.watch.sinks import Sink
from detector.serve.watch.sinks.folder import Folder
from detector.serve.watch.sinks.mqtt import Mqtt
from detector.serve.watch.sinks.webhook import Webhook

STALE = 10.0
"""Seconds after its last change from which a file that cannot be read is damaged, and not merely unfinished."""
MAPS = "maps"


class WatchSettings(ModelSettings):
    """The command line of `detector watch` as one value."""

    folder: Path
    """That a camera writes into."""
    category: str
    """Reference to a description version."""
    out: Path
    """Folder for results."""
    threshold: str | None = None
    """A number or `from-eval:RUN`."""
    references: tuple[str, ...] = ()
    """Good photos, or one file of kept references."""
    false_alarms: str | None = None
    """Rate that a threshold from the references promises."""
    pictures: bool = True
    """Whether the picture of each photo is drawn."""
    settle: float = 0.5
    """Seconds without a change after which a file is complete."""
    once: bool = False
    """Whether to end when everything that is there is done."""
    webhook: str | None = None
    """Address that every result is sent to."""
    webhook_secret: Path | None = None
    """File with the key that results are signed with."""
    mqtt: str | None = None
    """Broker and topic that every result is published to."""
    mqtt_login: Path | None = None
    """File with the name and password for the broker."""
    deliver: Path | None = None
    """Folder that every result is put into as a file."""


def run_watch(settings: WatchSettings) -> int:
    """Watch until stopped; returns the exit code.

    Raises:
        ForgeError: before anything is scored, when the settings cannot work.
    """
    if settings.false_alarms is not None and not settings.references:
        raise ServeError("--false-alarms without --references", expected="good photos to find the threshold from")
    if settings.false_alarms is not None and settings.threshold is not None:
        raise ServeError("both --false-alarms and --threshold", expected="one of them")
    arrivals = Arrivals(settings.folder, settings.settle, settings.out)
    store = Store.open(settings.descriptions_dir)
    description = store.load(settings.category)
    threshold = read_threshold(settings.threshold, settings.category)
    sinks = open_sinks(settings)
    watcher = _Watcher(settings, description, settings.create_detector(store), threshold, arrivals, sinks)
    if note := unread_note(watcher.detector.model, description):
        console.warn(note)
    with _Signals(Pause(settings.out)) as signals:
        return watcher.run(signals)


def open_sinks(settings: WatchSettings) -> list[Sink]:
    """Where results are told besides the folder of the watch.

    Raises:
        ForgeError: one of them cannot work.
    """
    for secret, its in (("webhook_secret", "webhook"), ("mqtt_login", "mqtt")):
        if getattr(settings, secret) is not None and getattr(settings, its) is None:
            problem = f"--{secret.replace('_', '-')} without --{its}"
            raise ServeError(problem, expected=f"--{its} with the address that it is for")
    sinks: list[Sink] = []
    if settings.deliver is not None:
        sinks.append(Folder(settings.deliver))
    if settings.webhook is not None:
        sinks.append(Webhook.open(settings.webhook, settings.webhook_secret))
    if settings.mqtt is not None:
        sinks.append(Mqtt.open(settings.mqtt, settings.mqtt_login))
    return sinks


class _Signals:
    """Ctrl-C and SIGTERM end a watch after the photo in hand; SIGUSR1 pauses and resumes it."""

    def __init__(self, pause: Pause) -> None:
        self.stop, self.pause = Event(), pause
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Signals":
        for number, handler in ((signal.SIGINT, self._end), (signal.SIGTERM, self._end), (_USER, self._toggle)):
            if number is not None:
                with suppress(ValueError):  # not on the main thread: whoever runs us there stops us otherwise
                    self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, _: int, __: FrameType | None) -> None:
        self.stop.set()

    def _toggle(self, _: int, __: FrameType | None) -> None:
        self.pause.switch(not self.pause.is_on())

    def rest(self) -> None:
        """Return when the watch does not rest, or is to stop."""
        if not self.pause.is_on():
            return
        console.warn(f"paused; send SIGUSR1 or delete {self.pause.path} to go on")
        while self.pause.is_on() and not self.stop.wait(0.1):
            pass
        console.warn("stopped" if self.stop.is_set() else "going on")


_USER = getattr(signal, "SIGUSR1", None)


class _Watcher:
    """A detector, a folder, and where results go."""

    def __init__(
        self,
        settings: WatchSettings,
        description: DescriptionFile,
        detector: Detector,
        threshold: Threshold | None,
        arrivals: Arrivals,
        sinks: list[Sink],
    ) -> None:
        self.settings, self.description, self.detector = settings, description, detector
        self.arrivals, self.sinks = arrivals, sinks
        self.scorer = self._references()
        if self.scorer is not None and settings.false_alarms is not None:
            threshold = self.scorer.threshold(parse_rate(settings.false_alarms))
        self.threshold = threshold
        decides = {
            "content_hash": description.content_hash, "model": fingerprint(detector.model),
            "scoring": settings.scoring.model_dump(mode="json"), "tile": settings.tile, "max_size": settings.max_size,
            "bits": settings.bits, "threshold": threshold.value if threshold else None,
            "references": [each.content for each in self.scorer.bank.info.references] if self.scorer else None,
        }  # fmt: skip
        self.journal = WatchJournal(settings.out, decides, threshold)
        for line in self.journal.lines:
            arrivals.known(Path(line.path), line.stamp)

    def _references(self) -> ReferenceScorer | None:
        names = self.settings.references
        if not names:
            return None
        kept = len(names) == 1 and names[0].endswith(SUFFIX)
        photos = load_bank(Path(names[0])) if kept else [str(path) for path in find_images(names).photos]
        prompts = self.detector.prompts(self.description)
        return ReferenceScorer(self.detector.predictor, prompts, photos, self.description.category)

    def run(self, signals: _Signals) -> int:
        """Score what is complete until stopped."""
        done = failed = 0
        try:
            for ready in self.arrivals.follow(signals.stop, once=self.settings.once):
                for arrival in ready:
                    signals.rest()
                    if signals.stop.is_set():
                        break
                    result = self._scored(arrival)
                    if result is None:
                        self.arrivals.again(arrival)
                        continue
                    done, failed = done + 1, failed + isinstance(result, Failure)
                    self._keep(arrival, result)
        finally:
            for sink in self.sinks:
                sink.close()
        console.warn(f"{done} photos done, {failed} of them could not be used; results in {self.settings.out}")
        return 1 if failed and self.settings.once else 0

    def _scored(self, arrival: Arrival) -> Detection | Failure | None:
        """What is found in a photo; None where it may not be written to the end yet."""
        detail = self.scorer is not None
        (result,) = self.detector.stream([arrival.path], self.description, detail=detail)
        if isinstance(result, Failure):
            return None if time() - arrival.stamp[1] / 1e9 < STALE else result
        return (self.scorer.rescored(result) if self.scorer else result)._replace(threshold=self.threshold)

    def _keep(self, arrival: Arrival, result: Detection | Failure) -> None:
        kept: Row | Failure = result if isinstance(result, Failure) else result.to_dict()
        if isinstance(result, Detection) and self.settings.pictures:
            name = f"{MAPS}/{arrival.path.stem[:100]}-{arrival.stamp[1]}.png"
            result.save(self.settings.out / name)
            kept = Row(**{**result.to_dict(), "heatmap": name})
        line = self.journal.add(arrival, kept)
        for sink in self.sinks:
            sink.send(line)
        sys.stdout.write(console.encodable(json.dumps(line, ensure_ascii=False)) + "\n")
        sys.stdout.flush()
