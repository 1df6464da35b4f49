"""The shipped project, read once, and the servers that its rehearsals need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.edges.config import load_config
from engine.edges.rehearsal import suite
from engine.edges.rehearsal.services import Servers, needed
from engine.edges.rehearsal.stage import Ground, clean_up
from engine.language.rehearsalreading import Rehearsal
from tests.conftest import need
from worlds.servers import PostgresServer

ROOT = Path(__file__).parents[2]
SHIPPED = suite.find([ROOT / "playbooks"])


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    yield suite.lay_ground(load_config(ROOT / "config.example.yaml"))
    clean_up()


@pytest.fixture(scope="session")
def servers(ground: Ground) -> Iterator[Servers]:
    with Servers(needed(SHIPPED, ground.config)) as servers:
        yield servers


def need_servers(rehearsal: Rehearsal, ground: Ground) -> None:
    """Skip, saying which package to install, where a rehearsal's server is missing."""
    if "postgres" in needed([rehearsal], ground.config):
        need(PostgresServer)
