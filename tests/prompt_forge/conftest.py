"""No test of prompt_forge reaches a paid endpoint, a user's configuration or a user's cache."""

import socket
import sys
from pathlib import Path

import pytest

from prompt_forge.errors import LocalModelError
from prompt_forge.llm.local import check_runtime, model_file

LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Refuse other hosts; point cache, log and configuration into the test's own folder."""
    real = socket.getaddrinfo

    def guarded(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else str(host)
        if not name.startswith(LOOPBACK):
            raise AssertionError(f"a test reached for {name}")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FILO_FORGE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("FILO_FORGE_LOG_FILE", str(tmp_path / "log.jsonl"))


@pytest.fixture(scope="session")
def embedded() -> Path:
    """The embedded model's file, or a skip that says what to type."""
    try:
        check_runtime()
        return model_file()
    except LocalModelError as error:
        pytest.skip(str(error))


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sets an editor that is a Python program over `text`, and keeps copies below the test's own folder."""
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    monkeypatch.delenv("VISUAL", raising=False)

    def use(change: str) -> None:
        program = tmp_path / "editor.py"
        program.write_text(
            "import sys\nfrom pathlib import Path\npath = Path(sys.argv[1])\ntext = path.read_text()\n"
            f"{change}\npath.write_bytes(text.encode())\n"
        )
        monkeypatch.setenv("EDITOR", f"{sys.executable} {program}")

    return use
