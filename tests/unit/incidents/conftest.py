from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.language.rules import Rule
from tests.unit.incidents.kit import Kit

MakeKit = Callable[..., Kit]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeKit]:
    """Make kits that are closed at the end."""
    made: list[Kit] = []

    def build(*rules: Rule, **settings: Any) -> Kit:
        made.append(Kit(tmp_path, *rules, **settings))
        return made[-1]

    yield build
    for kit in made:
        kit.close()
