"""Drafts of a language model, asked for on the page: `prompt-forge generate` as a program of its own, one at a time.

The model is the one that its settings name, the bundled one by default.
"""

import importlib.util
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from descriptions.common.errors import ForgeError
from descriptions.common.refs import parse_ref, slug
from detector.serve.errors import BusyError, ServeError

PROGRAM = "from prompt_forge.cli.app import main; main()"
PATIENCE = 10
"""Seconds that a program gets to end when it is told to."""


class Drafted(NamedTuple):
    """Where the last draft is."""

    category: str = ""
    running: bool = False
    asked: int = 0
    """Questions so far."""
    line: str = ""
    """What the program said last."""
    saved: str = ""
    """The version, such as `capsule@2`."""
    failed: str = ""
    """Why there is none."""


class Drafting:
    """The one draft that is being written, or was last.

    Args:
        descriptions_dir: the value of `--descriptions-dir`.
    """

    def __init__(self, descriptions_dir: Path | None) -> None:
        self.descriptions_dir = descriptions_dir
        self._state, self._lock = Drafted(), threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = False

    @property
    def state(self) -> Drafted:
        """Where it is now."""
        return self._state

    def start(self, product: str) -> Drafted:
        """Ask for a draft; a product that is described already gets one version more.

        Args:
            product: its name, such as `capsule` or `door hinge`.

        Raises:
            BusyError: another one is being written.
            ServeError: no name of a product, or the program is not installed.
        """
        name = " ".join(product.split())
        try:
            category = parse_ref(slug(name) if name.isprintable() else "").category
        except ForgeError as error:
            raise ServeError(f"product {product[:80]!r}", expected="a name such as door hinge") from error
        if importlib.util.find_spec("prompt_forge") is None:
            raise ServeError("prompt-forge is not installed here", hint="type: pip install filo-forge")
        with self._lock:
            if self._state.running:
                raise BusyError(f"a draft of {self._state.category} is being written", hint="wait for it, or cancel it")
            self._state, self._cancelled = Drafted(category, running=True), False
            command = [sys.executable, "-c", PROGRAM, "generate", f"--category={name}", "--force", "--follow", "--json"]
            command += [f"--descriptions-dir={self.descriptions_dir}"] if self.descriptions_dir else []
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                encoding="utf-8", errors="replace", start_new_session=True,  # Ctrl-C is for the server
            )  # fmt: skip
            threading.Thread(target=self._follow, args=(self._process,), name="draft", daemon=True).start()
        return self._state

    def cancel(self) -> Drafted:
        """End the program; nothing half-written is left. Nothing happens where none runs."""
        process = self._process
        if process is not None and self._state.running:
            self._cancelled = True
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        return self._state

    def _follow(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None  # opened with pipes
        assert process.stderr is not None
        with process:
            for line in process.stderr:
                if text := line.strip():
                    asked = self._state.asked + (": asking " in text)
                    self._state = self._state._replace(line=text[:300], asked=asked)
            said = process.stdout.read()
        self._state = self._ended(said)

    def _ended(self, said: str) -> Drafted:
        over = self._state._replace(running=False)
        if self._cancelled:
            return over._replace(failed="cancelled")
        try:
            (result,) = json.loads(said)["results"]
        except (ValueError, KeyError, TypeError):
            return over._replace(failed=over.line.removeprefix("error: ") or "the program ended without an answer")
        if result["status"] == "failed":
            return over._replace(failed=str(result.get("error", over.line))[:600])
        return over._replace(saved=str(result.get("ref", "")))
