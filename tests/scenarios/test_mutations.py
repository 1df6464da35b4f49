"""Every listed fault is planted: the rehearsal named for it must notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.edges.rehearsal import planting
from engine.edges.rehearsal.services import Servers
from engine.edges.rehearsal.stage import Ground
from engine.language.mutations import Mutation
from tests.scenarios.conftest import SHIPPED, need_servers

ROOT = Path(__file__).parents[2]
MUTATIONS = planting.find_mutations([ROOT / "playbooks"])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: f"{one.place}: {one.form.mutation}")
def test_planted_fault_is_noticed(mutation: Mutation, ground: Ground, servers: Servers) -> None:
    for rehearsal in SHIPPED:
        if rehearsal.name in mutation.form.failing:
            need_servers(rehearsal, ground)
    result = planting.plant(ground, mutation, SHIPPED, servers.service)
    assert not result.error
    assert not result.unnoticed
