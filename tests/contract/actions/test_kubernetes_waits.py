"""Waiting, describing and rolling back: what the contract suite does not ask of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actions.kubernetes.describe import KubernetesDescribe, KubernetesEvents
from actions.kubernetes.logs import KubernetesLogs
from actions.kubernetes.rollbacks import KubernetesRolloutUndo
from actions.kubernetes.waiting import KubernetesJobWait, KubernetesRolloutWait
from actions.kubernetes.workloads import KubernetesSetImage
from engine.contract import ActionFailed, Category
from engine.domain.clock import ManualClock
from tests.contract.actions import kube_scene
from tests.contract.actions.cases_kubernetes import make_job
from tests.contract.actions.kube_scene import NAMESPACE, Sight, in_process
from tests.contract.actions.recorder import Recorder
from worlds.cluster import Cluster, Fate
from worlds.cluster.cluster import ADMIN_TOKEN
from worlds.cluster.process import FastClock
from worlds.cluster.requests import read_fault
from worlds.cluster.server import ClusterServer

IMAGE, BACK = KubernetesSetImage(), KubernetesRolloutUndo()


@pytest.fixture
def cluster() -> Cluster:
    return kube_scene.make_cluster(ManualClock())


@pytest.fixture
def sight(cluster: Cluster) -> Sight:
    return in_process(cluster)


def params(action: Any, **given: Any) -> Any:
    whole = {"connection": "cluster", "namespace": NAMESPACE, **given}
    return action.Params.model_validate(whole)


def ask(action: Any, sight: Sight, **given: Any) -> Any:
    return action.read(params(action, **given), sight.reading())


def set_image(sight: Sight, image: str) -> Any:
    given = params(IMAGE, name="etl-worker", container="app", image=f"registry.invalid/{image}")
    return IMAGE.plan(given, sight.reading())


def test_a_rollout_is_waited_for(cluster: Cluster, sight: Sight) -> None:
    IMAGE.apply(set_image(sight, "app:2"), sight.writing(), "k")
    seen = ask(KubernetesRolloutWait(), sight, name="etl-worker")
    assert (seen["complete"], seen["timed_out"]) == (True, False)
    assert seen["waited"] > 0


def test_a_rollout_that_takes_too_long_is_an_answer(cluster: Cluster, sight: Sight) -> None:
    IMAGE.apply(set_image(sight, "does-not-exist:1"), sight.writing(), "k")
    seen = ask(KubernetesRolloutWait(), sight, name="etl-worker", within="30s")
    assert (seen["complete"], seen["timed_out"], seen["waited"]) == (False, True, 30.0)
    pods = ask(KubernetesDescribe(), sight, kind="Deployment", name="etl-worker")["pods"]
    assert any(pod["phase"] == "Pending" or pod["reason"] for pod in pods)


def test_a_failed_job_is_waited_for_with_its_logs(cluster: Cluster, sight: Sight) -> None:
    make_job("broken", 3)(cluster)
    seen = ask(KubernetesJobWait(), sight, name="broken")
    assert (seen["state"], seen["failed"]) == ("failed", 1)
    assert "BackoffLimitExceeded" in seen["reason"]
    assert "broken says so" in seen["logs"]["text"]
    assert "broken says so" in ask(KubernetesLogs(), sight, job="broken")["text"]
    pods = ask(KubernetesDescribe(), sight, kind="Job", name="broken")["pods"]
    assert [pod["reason"] for pod in pods] == ["w: Error, exit 3"]


def test_a_job_that_does_not_end_or_goes_away(cluster: Cluster, sight: Sight) -> None:
    cluster.script("slow", [Fate(exit_code=0, after=3600)])
    make_job("slow")(cluster)
    seen = ask(KubernetesJobWait(), sight, name="slow", within="1m", logs=False)
    assert (seen["state"], seen["active"], seen["timed_out"]) == ("running", 1, True)
    assert seen["logs"] is None


def test_back_to_the_revision_before_also_after_the_runs_own_change(sight: Sight) -> None:
    first = set_image(sight, "app:2")
    planned = BACK.plan(params(BACK, name="etl-worker"), sight.reading([first]))
    changed = {name: planned.after[name] for name in planned.after if name.endswith("image")}
    assert set(changed.values()) == {"registry.invalid/app:1", "registry.invalid/sidecar:1"}


@pytest.mark.parametrize(
    ("given", "why"),
    [({}, "an older revision is not kept"), ({"to_revision": 9}, "revision 9 is not kept")],
)
def test_a_revision_that_is_not_there(sight: Sight, given: Any, why: str) -> None:
    with pytest.raises(ActionFailed, match=f"{why}; kept are: 1") as caught:
        BACK.plan(params(BACK, name="etl-worker", **given), sight.reading())
    assert caught.value.category is Category.PERMANENT


def test_events_are_narrowed(cluster: Cluster, sight: Sight) -> None:
    events = KubernetesEvents()
    both = ask(events, sight, limit=1000)["events"]
    assert {each["reason"] for each in both} >= {"Scheduled", "ScalingReplicaSet"}
    one = ask(events, sight, kind="Deployment", name="etl-worker", reason="ScalingReplicaSet")
    assert [each["object"] for each in one["events"]] == ["Deployment/etl-worker"]
    cluster.clock.sleep(1800)
    assert ask(events, sight, since="10m")["events"] == []
    last = ask(events, sight, limit=1)
    assert (last["count"], last["truncated"]) == (1, True)
    with pytest.raises(ValueError, match="pattern"):
        params(events, name="x,type=Warning")


@pytest.fixture
def served() -> Iterator[tuple[Cluster, Sight, int]]:
    """The cluster over HTTP, by the system's clock and fast."""
    clock = FastClock(60)
    cluster = Cluster(clock)
    cluster.load(kube_scene.SCENE)
    with ClusterServer(cluster) as server:
        port = int(server.url.rpartition(":")[2])
        yield cluster, kube_scene.over_http(server.url, ADMIN_TOKEN, clock), port


@pytest.mark.parametrize(
    "fault",
    [
        {"does": "reset", "times": 2},
        {"does": "status", "times": 1, "code": 410, "reason": "Expired"},
        {"does": "status", "times": 1, "code": 429, "retry_after": 1},
        None,
    ],
    ids=["cut", "gone", "busy", "whole"],
)
def test_a_watch_over_http_goes_on_where_it_was(
    served: tuple[Cluster, Sight, int], fault: dict[str, Any] | None
) -> None:
    cluster, sight, _ = served
    cluster.script("slow", [Fate(exit_code=0, after=60)])
    make_job("slow")(cluster)
    if fault is not None:
        cluster.faults.add(read_fault({**fault, "path": "/jobs$", "method": "GET"}))
    seen = ask(KubernetesJobWait(), sight, name="slow", within="10m", logs=False)
    assert (seen["state"], seen["timed_out"]) == ("complete", False)
    asked = [one for one in cluster.requests.entries if "/jobs" in one.path]
    watches = [one.query["resourceVersion"] for one in asked if one.query.get("watch")]
    looks = [one for one in asked if one.path.endswith("/slow")]
    assert watches
    assert watches == sorted(watches, key=int)
    assert len(looks) <= len(watches) + 2  # one look for each thing that was heard, none in between


def test_a_watch_that_the_cluster_ends_at_once_is_not_begun_anew_at_once(
    cluster: Cluster, sight: Sight
) -> None:
    cluster.script("slow", [Fate(exit_code=0, after=3600)])
    make_job("slow")(cluster)
    cluster.faults.add(
        read_fault(
            {"does": "status", "times": None, "code": 410, "path": "/jobs$", "reason": "Expired"}
        )
    )
    seen = ask(KubernetesJobWait(), sight, name="slow", within="1m", logs=False)
    assert seen["timed_out"]
    assert len([one for one in cluster.requests.entries if "/jobs" in one.path]) < 70


def test_a_watch_whose_connection_is_cut_goes_on_where_it_was(
    served: tuple[Cluster, Sight, int],
) -> None:
    cluster, sight, port = served
    cluster.script("slow", [Fate(exit_code=0, after=240)])
    make_job("slow")(cluster)
    with Recorder(port) as recorder, ThreadPoolExecutor(1) as pool:
        through = kube_scene.over_http(recorder.url, ADMIN_TOKEN, sight.clock)
        waiting = pool.submit(
            ask, KubernetesJobWait(), through, name="slow", within="1h", logs=False
        )
        for _ in range(2):
            count = watches_of(recorder)
            until = time.monotonic() + 60
            while watches_of(recorder) == count and time.monotonic() < until:
                time.sleep(0.01)
            recorder.cut()
        assert waiting.result()["state"] == "complete"
        assert watches_of(recorder) >= 3


def watches_of(recorder: Recorder) -> int:
    return sum("watch=true" in path for _, path in recorder.requests())
