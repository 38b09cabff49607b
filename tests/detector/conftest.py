"""No test of detector reads a user's settings."""

from pathlib import Path

import pytest

from descriptions.settings import PREFIX
from detector.settings import DetectorSettings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point the user's configuration into the test's own folder, and forget variables."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for field in DetectorSettings.model_fields:
        monkeypatch.delenv(PREFIX + field.upper(), raising=False)
