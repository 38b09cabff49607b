"""The progress bar: which product, which kind of defect. On stderr, and only where a person watches."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from prompt_forge.console import say


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the drawing is done: half a drawing leaves rich unable to rub the bar out."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed and callable(before):
        before(pressed[0], None)


class FamilyProgress:
    """One bar for the products of the run and one for each product in work; safe to call from several threads.

    Args:
        products: of the run.
        steps: of each product.
        follow: say every question as a line instead, for programs that follow.
    """

    def __init__(self, products: int, steps: int, *, follow: bool = False) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(
            *columns,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=follow or not console.is_terminal,
        )
        self._follow = follow
        self._steps, self._lock = steps, threading.RLock()
        self._all = self._bar.add_task("products", total=products)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        try:
            with _uninterrupted():
                self._bar.start()
        except KeyboardInterrupt:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _uninterrupted():
            self._bar.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while lines are printed, so that they are whole, at their full length, and stay."""
        with self._lock:
            if not self._bar.live.is_started:
                yield
                return
            with _uninterrupted():
                self._show(False)  # a bar that starts again would rub out as many lines as it had when it stopped
                self._bar.stop()
            try:
                yield
            finally:
                with _uninterrupted():
                    self._bar.start()
                    self._show(True)

    def _show(self, visible: bool) -> None:
        for task in self._bar.task_ids:
            self._bar.update(task, visible=visible)
        self._bar.refresh()

    def tick(self, category: str, family: str) -> None:
        """`family` of `category` is about to be asked for."""
        with self._lock:
            if self._follow:
                say(f"{category}: asking about {family}")
            if category not in self._tasks:
                self._tasks[category] = self._bar.add_task(category, total=self._steps, completed=-1)
            self._bar.update(self._tasks[category], description=f"{category}: {family}", advance=1)

    def done(self, category: str) -> None:
        """`category` needs no bar any more."""
        with self._lock:
            if category in self._tasks:
                self._bar.remove_task(self._tasks.pop(category))
            self._bar.advance(self._all)


class Voice:
    """Says one line on stderr; beside a bar, while there is one. Safe to call from several threads."""

    def __init__(self) -> None:
        self.bar: FamilyProgress | None = None
        """The bar that is on the screen."""

    def __call__(self, text: str) -> None:
        """Say `text`."""
        with self.bar.aside() if self.bar else nullcontext():
            say(text)
