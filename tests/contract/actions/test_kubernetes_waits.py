"""Waiting, describing and rolling back: what the contract suite does not ask of them."""

from __future__ import annotations

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
from worlds.cluster import Cluster, Fate

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
