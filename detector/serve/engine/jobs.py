"""Batches of pictures that are scored while their sender does something else."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Literal

from descriptions.common.errors import ForgeError, nearest
from detector.detect.detection import Detection, Failure
from detector.serve.engine.engine import Engine, Picture, Words
from detector.serve.errors import BusyError, MissingError, StoppingError

State = Literal["waiting", "running", "done", "cancelled", "failed"]
FINISHED = ("done", "cancelled", "failed")
KEPT = 64
"""Finished jobs whose results can still be asked for."""
PAUSE = 0.02
"""Seconds between two looks for room in the queue."""


@dataclass
class Job:
    """One batch."""

    total: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "waiting"
    done: int = 0
    failed: int = 0
    error: str = ""
    """Why it failed as a whole."""
    document: dict[str, Any] | None = None
    """The answer, once it is done."""
    folder: Path = field(default_factory=lambda: Path(mkdtemp(prefix="filo-forge-job-")))
    task: "asyncio.Task[None] | None" = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def about(self) -> dict[str, Any]:
        """Its state, for people and machines."""
        counts = {"id": self.id, "state": self.state, "done": self.done, "failed": self.failed, "total": self.total}
        return counts | ({"error": self.error} if self.error else {})

    def advance(self, **changes: Any) -> None:
        """Change fields and wake whoever follows."""
        for name, value in changes.items():
            setattr(self, name, value)
        self._changed.set()
        self._changed = asyncio.Event()

    def discard(self) -> None:
        """Remove the files of a job."""
        rmtree(self.folder, ignore_errors=True)

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Its state, now and at every change until it is finished."""
        while True:
            changed = self._changed
            yield self.about()
            if self.state in FINISHED:
                return
            await changed.wait()


class Jobs:
    """The jobs of one server.

    Args:
        limit: jobs that wait or run at most.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def require_room(self) -> None:
        """Refuse before anything is read.

        Raises:
            BusyError: too many jobs wait.
        """
        open_jobs = sum(job.state not in FINISHED for job in self._jobs.values())
        if open_jobs >= self.limit:
            raise BusyError(f"{open_jobs} jobs wait or run already", expected=f"at most {self.limit}")

    def start(self, job: Job, work: "Callable[[Job], Coroutine[Any, Any, dict[str, Any]]]") -> Job:
        """Start a job; it runs until it is done or cancelled.

        Args:
            job: not started.
            work: gives its document.
        """
        finished = [each.id for each in self._jobs.values() if each.state in FINISHED]
        for old in finished[: max(0, len(finished) - KEPT + 1)]:
            del self._jobs[old]
        self._jobs[job.id] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job, work))
        return job

    async def _run(self, job: Job, work: "Callable[[Job], Coroutine[Any, Any, dict[str, Any]]]") -> None:
        job.advance(state="running")
        try:
            document = await work(job)
            job.advance(state="done", document=document)
        except asyncio.CancelledError:
            job.advance(state="cancelled")
        except ForgeError as error:
            job.advance(state="failed", error=str(error))
        except Exception as error:
            job.advance(state="failed", error=type(error).__name__)
            raise
        finally:
            job.discard()

    def get(self, name: str) -> Job:
        """A job by its id.

        Raises:
            MissingError: there is none.
        """
        if name not in self._jobs:
            raise MissingError(f"no job {name[:80]!r}", hint=nearest(name[:80], list(self._jobs)))
        return self._jobs[name]

    def cancel(self, name: str) -> Job:
        """Stop a job; one that is finished stays as it is."""
        job = self.get(name)
        if job.task is not None and job.state not in FINISHED:
            job.task.cancel()
        return job

    async def close(self) -> None:
        """Cancel everything that runs."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None and not job.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def fed(
    engine: Engine, pictures: Sequence[Picture], words: Words, take: Callable[[int, Detection | Failure], None]
) -> None:
    """Score any number of pictures, a few at a time, so that others find room in the queue between them.

    Args:
        engine: scores.
        pictures: any number.
        words: to score them with.
        take: is given every picture's place and result.
    """
    at_once = asyncio.Semaphore(min(2 * engine.batch, engine.limit))

    async def one(place: int, picture: Picture) -> None:
        try:
            while True:
                try:
                    (future,) = engine.submit([picture], words)
                    break
                except StoppingError:
                    raise
                except BusyError:
                    await asyncio.sleep(PAUSE)
            take(place, await asyncio.wrap_future(future))
        finally:
            at_once.release()

    tasks: set[asyncio.Task[None]] = set()
    try:
        for place, picture in enumerate(pictures):
            await at_once.acquire()
            for finished in [task for task in tasks if task.done()]:
                tasks.remove(finished)
                finished.result()
            tasks.add(asyncio.ensure_future(one(place, picture)))
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
