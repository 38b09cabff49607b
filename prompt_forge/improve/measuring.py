"""The detector as a program of its own beside this one: words go in, scores of every photo come out.

`prompt_forge` never imports it. It is started once, so that photos are encoded once for all rounds.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from descriptions.common.errors import SettingsError
from descriptions.format.schema import DescriptionFile
from prompt_forge.errors import PromptForgeError

PROGRAM = "detector.cli.app"


class MeasureError(PromptForgeError):
    """The detector refused, or ended without an answer."""


class Photo(NamedTuple):
    """One photo that is measured."""

    path: str
    sha256: str
    defect: str
    defective: bool


class Measured(NamedTuple):
    """What every photo scores with one version."""

    scores: NDArray[np.float64]
    """[photos]."""
    nearest: tuple[str | None, ...]
    """Id of the description nearest to the peak of the map, by photo."""
    without: dict[str, NDArray[np.float64]]
    """Scores without each description, by id; empty where it was not asked for."""


class Measurer(Protocol):
    """Scores versions on a fixed set of photos."""

    @property
    def photos(self) -> tuple[Photo, ...]:
        """What is scored."""
        ...

    @property
    def model(self) -> str:
        """Name and digest of the vision model."""
        ...

    def measure(self, versions: Sequence[DescriptionFile], *, leave_one_out: bool = False) -> list[Measured]:
        """Score versions in one pass.

        Raises:
            MeasureError: a version cannot be scored.
        """
        ...


class DetectorProcess:
    """`detector measure`, started and told what to score.

    Args:
        process: with pipes for both directions.
        complaints: file of its standard error.
        tick: called with photos done and photos in all.
    """

    def __init__(
        self, process: "subprocess.Popen[str]", complaints: IO[str], tick: Callable[[int, int], None] = lambda *_: None
    ) -> None:
        self._process, self._complaints, self._tick = process, complaints, tick
        about = self._answer("photos")
        self._photos = tuple(
            Photo(one["path"], one["sha256"], one["defect"], one["defective"]) for one in about["photos"]
        )
        self._model = f"{about['model']['name']} {about['model']['weights'][:12]}"
        self.problems: tuple[str, ...] = tuple(about["problems"])

    @property
    def photos(self) -> tuple[Photo, ...]:
        """What is scored."""
        return self._photos

    @property
    def model(self) -> str:
        """Name and digest of the vision model."""
        return self._model

    def measure(self, versions: Sequence[DescriptionFile], *, leave_one_out: bool = False) -> list[Measured]:
        """See `Measurer.measure`."""
        asked = {"versions": [_words(one, leave_one_out=leave_one_out) for one in versions]}
        try:
            stdin = self._process.stdin
            assert stdin is not None  # opened with a pipe
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
        except OSError:
            raise self._ended() from None
        return [_read(one) for one in self._answer("results")["results"]]

    def _answer(self, name: str) -> dict[str, Any]:
        assert self._process.stdout is not None  # opened with a pipe
        for line in self._process.stdout:
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if "scored" in document:
                self._tick(document["scored"], document["of"])
            elif "error" in document:
                raise MeasureError(f"detector measure: {document['error']}")
            elif name in document:
                return dict(document)
        raise self._ended()

    def _ended(self) -> MeasureError:
        """What it said last, as an error."""
        self._process.wait()
        self._complaints.seek(0)
        said = [line for line in self._complaints.read().splitlines() if line.strip()]
        last = said[-1].removeprefix("error: ") if said else f"ended with {self._process.returncode}"
        return MeasureError(f"detector measure: {last}")


def _words(version: DescriptionFile, *, leave_one_out: bool) -> dict[str, Any]:
    return {
        "object_name": version.object_name,
        "normal": list(version.normal),
        "abnormal": list(version.abnormal),
        "anomalies": [{"id": one.id, "text": one.text} for one in version.anomalies if one.enabled],
        "leave_one_out": leave_one_out,
    }


def _read(result: dict[str, Any]) -> Measured:
    without = {name: np.array(scores) for name, scores in result.get("without", {}).items()}
    return Measured(np.array(result["scores"]), tuple(result["nearest"]), without)


@contextmanager
def start_detector(
    data: Path | None,
    labels: Path | None,
    category: str,
    *,
    preset: str | None = None,
    checkpoint: Path | None = None,
    tick: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[DetectorProcess]:
    """The detector of this installation, ended with the block.

    Args:
        data: data set, or folder of photos where `labels` is given.
        labels: marks that say which photos are good.
        category: of the data.
        preset: of the detector.
        checkpoint: instead of a preset.
        tick: called with photos done and photos in all.

    Raises:
        SettingsError: no detector is installed.
        MeasureError: it refused the data or the model; the message is its own.
    """
    if importlib.util.find_spec("detector") is None:
        raise SettingsError("the detector is not installed here", hint="type: pip install filo-forge")
    given = {"--data": data, "--labels": labels, "--preset": preset, "--checkpoint": checkpoint, "--category": category}
    options = [str(word) for name, value in given.items() if value is not None for word in (name, value)]
    program = f"from {PROGRAM} import main; main()"
    with tempfile.TemporaryFile("w+", encoding="utf-8") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "measure", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True, encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for us; it ends when its input does
        )  # fmt: skip
        try:
            yield DetectorProcess(process, complaints, tick)
        finally:
            process.kill()
            process.communicate()
