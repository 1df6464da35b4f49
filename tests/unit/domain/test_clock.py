"""Times and spans as people read them."""

from __future__ import annotations

import pytest

from engine.domain.clock import spell


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.2, "0.2s"), (90, "1m30s"), (7200, "2h"), (90_061, "1d1h"), (59.6, "1m")],
)
def test_spelling(seconds: float, text: str) -> None:
    assert spell(seconds) == text
