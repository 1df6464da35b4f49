"""Clusters that are large, slow, or break off, and what undo and waits make of them."""

from __future__ import annotations

import contextlib
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actions.kubernetes.connection import KubernetesKind
from actions.kubernetes.logs import KubernetesLogs
from actions.kubernetes.reads import KubernetesList
from actions.kubernetes.scale import KubernetesScale
from actions.kubernetes.waiting import KubernetesJobWait, KubernetesRolloutWait
from engine.contract import ActionFailed, Applied, Category, Opening
from engine.domain.clock import ManualClock
from tests.contract.actions import kube_scene
from tests.contract.actions.cases_kubernetes import make_job
from tests.contract.actions.kube_scene import NAMESPACE, Sight, in_process, over_http
from worlds.cluster import Cluster
from worlds.cluster.requests import Fault


@pytest.fixture
def cluster() -> Cluster:
    return kube_scene.make_cluster(ManualClock())


@pytest.fixture
def sight(cluster: Cluster) -> Sight:
    return in_process(cluster)


def ask(action: Any, sight: Sight, **given: Any) -> Any:
    whole = {"connection": "cluster", "namespace": NAMESPACE, **given}
    return action.read(action.Params.model_validate(whole), sight.reading())


@pytest.mark.parametrize("fault", [Fault("reset"), Fault("status", code=503, retry_after=3)])
def test_a_wait_outlasts_a_server_that_breaks_off(
    cluster: Cluster, sight: Sight, fault: Fault
) -> None:
    make_job("slow")(cluster)
    fault.method, fault.path, fault.skip, fault.times = "GET", "/jobs/", 1, 5
    cluster.faults.add(fault)
    seen = ask(KubernetesJobWait(), sight, name="slow", within="10m", logs=False)
    assert (seen["state"], fault.hits) == ("complete", 5)


def test_a_wait_ends_where_the_server_stays_silent_or_refuses(
    cluster: Cluster, sight: Sight
) -> None:
    cluster.faults.add(Fault("reset", method="GET", path="deployments", times=None))
    with pytest.raises(ActionFailed) as caught:
        ask(KubernetesRolloutWait(), sight, name="etl-worker", within="1h")
    assert caught.value.category is Category.TRANSIENT
    cluster.faults.clear()
    cluster.faults.add(Fault("status", method="GET", code=403, times=None))
    with pytest.raises(ActionFailed) as caught:
        ask(KubernetesRolloutWait(), sight, name="etl-worker", within="1h")
    assert caught.value.category is Category.CONFIGURATION


def test_a_listing_whose_next_page_is_gone_is_begun_anew(cluster: Cluster, sight: Sight) -> None:
    maps = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"map-{number:03d}", "namespace": NAMESPACE},
        }
        for number in range(300)
    ]
    cluster.load(maps)
    gone = cluster.faults.add(Fault("status", method="GET", path="configmaps", skip=1, code=410))
    found = ask(KubernetesList(), sight, kind="ConfigMap", limit=500)
    names = [name for name in found["names"] if name.startswith("map-")]
    assert names == [f"map-{number:03d}" for number in range(300)]
    assert gone.hits == 1
    cluster.faults.add(Fault("status", method="GET", path="configmaps", times=None, code=410))
    with pytest.raises(ActionFailed) as caught:
        ask(KubernetesList(), sight, kind="ConfigMap", limit=500)
    assert caught.value.category is Category.PERMANENT


def test_to_nothing_and_back_to_what_it_was(cluster: Cluster, sight: Sight) -> None:
    scale = KubernetesScale()
    given = {"connection": "cluster", "namespace": NAMESPACE, "kind": "Deployment"}
    params = scale.Params.model_validate({**given, "name": "etl-worker", "replicas": 0})
    planned = scale.plan(params, sight.reading())
    assert planned.counts == {"pods": 2}
    receipt = scale.apply(planned, sight.writing(), "key")
    assert isinstance(sight.clock, ManualClock)
    sight.clock.advance(60)
    cluster.run()
    assert cluster.object("Deployment", NAMESPACE, "etl-worker")["status"].get("replicas", 0) == 0
    assert isinstance(scale.confirm(planned, receipt, sight.reading(), "key"), Applied)
    scale.undo(planned, receipt, sight.writing(), "undo")
    assert cluster.object("Deployment", NAMESPACE, "etl-worker")["spec"]["replicas"] == 2


LINE = b"x" * 1023 + b"\n"


@pytest.fixture
def chatty() -> Iterator[str]:
    """A server that has one pod and sends 100 MB of its logs, whatever limit it is asked for."""
    pod = b'{"kind":"Pod","metadata":{"name":"p","namespace":"n"},"spec":{"containers":[{"name":"c"}]}}'
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(client: socket.socket) -> None:
        with client, client.makefile("rb") as asked:
            while line := asked.readline():
                while asked.readline().strip():
                    pass
                body = b"" if b"/log?" in line else pod
                size = 100 * 2**20 if b"/log?" in line else len(pod)
                head = (
                    f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}"
                )
                client.sendall(head.encode() + b"\r\n\r\n" + body)
                for _ in range(size // 2**20):
                    client.sendall(LINE * 1024)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_quietly, args=(answer, client), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def _quietly(answer: Any, client: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client took what it wanted and hung up
        answer(client)


def test_a_hundred_megabytes_of_logs_are_never_held(chatty: str) -> None:
    sight = over_http(chatty, "t", ManualClock(), allow={"namespaces": ["n"], "kinds": ["Pod"]})
    given = {"connection": "cluster", "namespace": "n", "pod": "p", "limit": 64 * 1024}
    params = KubernetesLogs().Params.model_validate(given)
    KubernetesLogs().read(params, sight.reading())  # what is imported when first used
    tracemalloc.start()
    for _ in range(2):  # the second over a connection in which nothing of the first is left
        output = KubernetesLogs().read(params, sight.reading())
        assert output["truncated"]
        assert output["count"] == 64
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\n"
        "contexts: [{name: prod, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: u, user: {token: secret-token}}]\n"
    )
    kind = KubernetesKind()
    settings = kind.Settings.model_validate({"kubeconfig": path, "context": "staging"})
    with pytest.raises(ActionFailed, match="staging") as caught:
        kind.open(Opening("cluster", settings, False, ManualClock(), str))
    assert caught.value.category is Category.CONFIGURATION
    assert "secret-token" not in str(caught.value)
