"""A twin goes on exactly as the cluster would have, and neither touches the other."""

from __future__ import annotations

import copy
import json
from typing import Any

from engine.domain.clock import ManualClock
from tests.unit.worlds.cluster.scene import MERGE, NS, Town, cron_job, deployment, job
from worlds.cluster import Cluster, Fate

OBJECTS = (deployment(), job("once"), cron_job("often", "*/5 * * * *"))
PODS = "/api/v1/namespaces/ns/pods"


def everything(cluster: Cluster) -> Any:
    with cluster.lock:
        found = [(kind.kind, item) for kind, item in cluster.store.all()]
    return copy.deepcopy((found, cluster.store.version, cluster.now()))


def live_on(cluster: Cluster, clock: ManualClock) -> Any:
    """Change what is there, let hours pass, and return all that came of it."""
    scale = "/apis/apps/v1/namespaces/ns/deployments/d"
    answers = [cluster.call("PATCH", scale, body={"spec": {"replicas": 5}}, content_type=MERGE)]
    clock.advance(600)
    answers.append(cluster.call("GET", PODS))
    pods = json.loads(answers[-1].body)["items"]
    cluster.log(NS, pods[0]["metadata"]["name"], "a line\n")
    answers.append(cluster.call("DELETE", f"{PODS}/{pods[0]['metadata']['name']}"))
    clock.advance(3600)
    answers.append(cluster.call("GET", PODS))
    return [(one.status, one.body) for one in answers], everything(cluster)


def settled() -> tuple[Cluster, ManualClock]:
    town = Town(*OBJECTS)
    town.cluster.script("often", [Fate(exit_code=1, times=2)])
    town.later(700)
    return town.cluster, town.clock


def test_a_twin_goes_on_as_the_cluster_would_have() -> None:
    cluster, _ = settled()
    clock = ManualClock(cluster.now())
    twin = cluster.twin(clock)
    assert everything(twin) == everything(cluster)
    assert live_on(twin, clock) == live_on(*settled())


def test_neither_touches_the_other() -> None:
    cluster, clock = settled()
    before = everything(cluster)
    first, second = (ManualClock(cluster.now()) for _ in range(2))
    one, other = cluster.twin(first), cluster.twin(second)
    lived = live_on(one, first)
    assert everything(cluster) == before
    assert everything(other) == before
    assert live_on(other, second) == lived  # a fate that happened in one has not in the other
    after = everything(one)
    assert live_on(cluster, clock) == lived
    assert everything(one) == after


def test_a_twin_has_met_no_request_and_no_fault() -> None:
    cluster, _ = settled()
    cluster.call("GET", PODS)
    twin = cluster.twin(ManualClock(cluster.now()))
    assert twin.requests.entries == []
    assert twin.faults.as_json() == []
    assert len(cluster.requests.entries) == 1
