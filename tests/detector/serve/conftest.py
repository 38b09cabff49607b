"""One tiny workplace and one server for the tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.detecting import make_workplace
from tests.support.serving import Running, serving, tiny_settings


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workplace(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def running(home: Path) -> Iterator[Running]:
    with serving(tiny_settings(home, max_images=8, max_batch=20, references=(str(home / "photos"),))) as server:
        yield server
