"""Whole runs over the toy system: its table, and the engine that works on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Harness
from tests.toys import Table


@pytest.fixture
def table() -> Table:
    return Table(x=1, y=10, list=["a", "b", "c"], rate=0.5)


@pytest.fixture
def engine(tmp_path: Path, table: Table) -> Harness:
    return Harness(tmp_path, table)
