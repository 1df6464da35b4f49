from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.edges.chat.kit import Stage
from worlds.slack import SlackServer


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def stage(tmp_path: Path, slack: SlackServer) -> Iterator[Stage]:
    made = Stage(tmp_path, slack)
    yield made
    made.close()
