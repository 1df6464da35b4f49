from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.edges.app import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path)
    yield made
    made.store.close()
