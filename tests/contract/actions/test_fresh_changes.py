"""What actions tell of others who were at their target: the engine holds an automatic run by it."""

from __future__ import annotations

from typing import Any

import pytest

from actions.kubernetes.cleaning import KubernetesJobsClean
from actions.kubernetes.patch import KubernetesPatch
from actions.kubernetes.removing import KubernetesDeletePod, KubernetesEvict
from actions.kubernetes.rollouts import KubernetesRolloutRestart
from actions.kubernetes.scale import KubernetesScale
from actions.s3 import S3Copy, S3Put
from engine.contract import Planned
from engine.domain.clock import ManualClock
from tests.contract.actions import kube_scene
from tests.contract.actions.cases_s3 import connections
from tests.contract.actions.conftest import Buckets
from tests.contract.actions.kube_scene import NAMESPACE, in_process
from worlds.cluster import Cluster

WORKER = {"connection": "cluster", "namespace": NAMESPACE, "name": "etl-worker"}
PATCH = {"spec": {"template": {"metadata": {"labels": {"tier": "b"}}}}}
CHANGES: list[tuple[Any, dict[str, Any]]] = [
    (KubernetesScale(), {**WORKER, "kind": "Deployment", "replicas": 1}),
    (KubernetesPatch(), {**WORKER, "kind": "Deployment", "patch": PATCH}),
    (KubernetesRolloutRestart(), {**WORKER, "kind": "Deployment"}),
]


@pytest.fixture
def cluster() -> Cluster:
    return kube_scene.make_cluster(ManualClock())


def planned(cluster: Cluster, action: Any, params: dict[str, Any]) -> Planned:
    found: Planned = action.plan(
        action.Params.model_validate(params), in_process(cluster).reading()
    )
    return found


def touch(cluster: Cluster, path: str, manager: str) -> None:
    body = {"metadata": {"annotations": {"touched-by": manager}}}
    answer = cluster.call(
        "PATCH",
        path,
        query={"fieldManager": manager},
        body=body,
        content_type="application/merge-patch+json",
    )
    assert answer.status == 200


@pytest.mark.parametrize(("action", "params"), CHANGES, ids=lambda one: getattr(one, "name", ""))
def test_who_changed_a_workload_is_told(
    cluster: Cluster, action: Any, params: dict[str, Any]
) -> None:
    (first,) = planned(cluster, action, params).fresh_changes
    assert first.by == "kubectl"
    assert (cluster.now() - first.at).days >= 1, "a scene is not what somebody has just changed"
    touch(cluster, f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker", "kubectl-edit")
    newest = planned(cluster, action, params).fresh_changes[0]
    assert (newest.by, newest.at) == ("kubectl-edit", cluster.now().replace(microsecond=0))
    assert "touched-by" in newest.what


@pytest.mark.parametrize("action", [KubernetesDeletePod(), KubernetesEvict()])
def test_who_changed_a_pod_is_told(cluster: Cluster, action: Any) -> None:
    name = next(
        item["metadata"]["name"]
        for item in cluster.objects("Pod", NAMESPACE)
        if item["metadata"]["name"].startswith("etl-worker")
    )
    params = {"connection": "cluster", "namespace": NAMESPACE, "name": name}
    assert {c.by for c in planned(cluster, action, params).fresh_changes} <= {
        "kube-controller-manager"
    }
    touch(cluster, f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", "kubectl-label")
    assert planned(cluster, action, params).fresh_changes[0].by == "kubectl-label"


def test_who_changed_one_of_the_jobs_is_told(cluster: Cluster) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "load", "namespace": NAMESPACE},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"annotations": {"fake-kubelet/exit-code": "0"}},
                "spec": {"restartPolicy": "Never", "containers": [kube_scene.container()]},
            },
        },
    }
    cluster.load([job])
    assert isinstance(cluster.clock, ManualClock)
    cluster.clock.advance(600)
    cluster.run()
    params = {"connection": "cluster", "namespace": NAMESPACE, "condition": "any"}
    found = planned(cluster, KubernetesJobsClean(), params)
    assert found.counts == {"objects": 1}
    touch(cluster, f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/load", "airflow")
    assert planned(cluster, KubernetesJobsClean(), params).fresh_changes[0].by == "airflow"


def test_when_others_wrote_an_object_is_told_and_own_writes_are_not(
    memory_buckets: Buckets,
) -> None:
    buckets, made = memory_buckets, connections(memory_buckets.recorder.url)

    def plan(action: Any, **params: Any) -> Planned:
        given = {"connection": "s3", "bucket": buckets.plain, **params}
        found: Planned = action.plan(action.Params.model_validate(given), made.reading())
        return found

    put, copy = S3Put(), S3Copy()
    buckets.boto.put_object(Bucket=buckets.plain, Key="state", Body=b"others")
    written = buckets.boto.head_object(Bucket=buckets.plain, Key="state")["LastModified"]
    over = plan(put, key="state", text="mine")
    assert [(one.by, one.at) for one in over.fresh_changes] == [("another writer", written)]
    assert plan(put, key="nothing-there", text="mine").fresh_changes == ()
    onto = {"key": "keep", "to_key": "state", "overwrite": True}
    assert plan(copy, **onto).fresh_changes == over.fresh_changes
    put.apply(over, made.writing(), "key-1")
    assert plan(put, key="state", text="again").fresh_changes == ()
    assert plan(copy, **onto).fresh_changes == ()
