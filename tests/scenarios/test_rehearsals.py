"""Every shipped rehearsal is played."""

from __future__ import annotations

import pytest

from engine.edges.rehearsal import suite
from engine.edges.rehearsal.services import Servers
from engine.edges.rehearsal.stage import Ground
from engine.language.rehearsalreading import Rehearsal
from tests.scenarios.conftest import SHIPPED, need_servers


@pytest.mark.parametrize("rehearsal", SHIPPED, ids=lambda one: f"{one.place}: {one.name}")
def test_shipped_rehearsal(rehearsal: Rehearsal, ground: Ground, servers: Servers) -> None:
    need_servers(rehearsal, ground)
    result = suite.play(ground, rehearsal, servers.service)
    assert not result.error
    wrong = [f"{m.place}: {m.what}: expected {m.expected}; seen {m.seen}" for m in result.misses]
    assert not wrong, "\n".join([*wrong, *result.timeline])
