"""Every shipped rehearsal is played; each is quick enough to be run at every save."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.edges.config import load_config
from engine.edges.rehearsal import suite
from engine.edges.rehearsal.services import Servers, needed
from engine.edges.rehearsal.stage import Ground, clean_up
from engine.language.rehearsalreading import Rehearsal

ROOT = Path(__file__).parents[2]
SHIPPED = suite.find([ROOT / "playbooks"])


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    yield suite.lay_ground(load_config(ROOT / "config.example.yaml"))
    clean_up()


@pytest.fixture(scope="module")
def servers(ground: Ground) -> Iterator[Servers]:
    with Servers(needed(SHIPPED, ground.config)) as servers:
        yield servers


@pytest.mark.parametrize("rehearsal", SHIPPED, ids=lambda one: f"{one.place}: {one.name}")
def test_shipped_rehearsal(rehearsal: Rehearsal, ground: Ground, servers: Servers) -> None:
    result = suite.play(ground, rehearsal, servers.service)
    assert not result.error
    wrong = [f"{m.place}: {m.what}: expected {m.expected}; seen {m.seen}" for m in result.misses]
    assert not wrong, "\n".join([*wrong, *result.timeline])
