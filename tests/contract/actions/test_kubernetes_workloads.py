"""Containers, CronJobs and ConfigMaps: what the contract suite does not ask of their changes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from actions.kubernetes.configmaps import KubernetesConfigMapMerge
from actions.kubernetes.cronjobs import KubernetesCronJobSet, KubernetesCronJobSuspend
from actions.kubernetes.workloads import KubernetesSetEnv, KubernetesSetImage
from engine.contract import ActionFailed, Applied, Category, NotYet, Planned
from engine.domain.clock import ManualClock
from tests.contract.actions import kube_scene
from tests.contract.actions.kube_scene import NAMESPACE, Sight, in_process
from worlds.cluster import Cluster

MERGE, ENV, IMAGE = KubernetesConfigMapMerge(), KubernetesSetEnv(), KubernetesSetImage()
SUSPEND, SET = KubernetesCronJobSuspend(), KubernetesCronJobSet()


@pytest.fixture
def cluster() -> Cluster:
    return kube_scene.make_cluster(ManualClock())


@pytest.fixture
def sight(cluster: Cluster) -> Sight:
    return in_process(cluster)


def plan(action: Any, sight: Sight, earlier: list[Planned] | None = None, **given: Any) -> Planned:
    params = {"connection": "cluster", "namespace": NAMESPACE, **given}
    planned: Planned = action.plan(
        action.Params.model_validate(params), sight.reading(earlier or [])
    )
    return planned


def test_two_merges_of_one_text_are_chained(cluster: Cluster, sight: Sight) -> None:
    given: dict[str, Any] = {"name": "batch", "entry": "batch.yaml"}
    first = plan(MERGE, sight, **given, merge={"workers": 2})
    second = plan(MERGE, sight, [first], **given, merge={"retries": 1})
    assert second.before == {"data[batch.yaml]": "workers: 2\n"}
    assert second.after == {"data[batch.yaml]": "workers: 2\nretries: 1\n"}
    MERGE.apply(first, sight.writing(), "k1")
    MERGE.apply(second, sight.writing(), "k2")
    found = cluster.object("ConfigMap", NAMESPACE, "batch")["data"]
    assert found == {"batch.yaml": "workers: 2\nretries: 1\n", "other": "kept"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"data": {"more": "x" * 2**20}}, "a ConfigMap holds 1048576"),
        ({"entry": "none.yaml", "merge": {"a": 1}}, "has no key 'none.yaml'; it has: batch.yaml"),
        ({"entry": "other", "merge": {"a": 1}}, "no mapping"),
    ],
)
def test_a_merge_that_cannot_be_is_refused(sight: Sight, given: Any, why: str) -> None:
    with pytest.raises(ActionFailed, match=why) as caught:
        plan(MERGE, sight, name="batch", **given)
    assert caught.value.category is Category.DATA


@pytest.mark.parametrize(
    ("action", "given", "why"),
    [
        (MERGE, {"name": "batch"}, "give data"),
        (MERGE, {"name": "batch", "merge": {"a": 1}}, "go together"),
        (SET, {"name": "scoring", "container": "w"}, "say what shall change"),
    ],
)
def test_parameters_that_ask_for_nothing(action: Any, given: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        action.Params.model_validate({"connection": "cluster", **given})


def test_a_container_must_be_named_where_there_are_several(sight: Sight) -> None:
    with pytest.raises(ActionFailed, match="more than one: app, sidecar"):
        plan(IMAGE, sight, name="etl-worker", image="x")
    with pytest.raises(ActionFailed, match="no container 'none'; there are: app, sidecar"):
        plan(IMAGE, sight, name="etl-worker", container="none", image="x")
    with pytest.raises(ActionFailed, match="ConfigMap has no pod template"):
        plan(IMAGE, sight, kind="ConfigMap", name="batch", image="x")


def test_an_image_is_waited_for_and_the_only_container_needs_no_name(
    cluster: Cluster, sight: Sight
) -> None:
    planned = plan(IMAGE, sight, kind="StatefulSet", name="db", image="registry.invalid/db:2")
    assert planned.counts == {"objects": 1, "pods": 2}
    receipt = IMAGE.apply(planned, sight.writing(), "k")
    assert isinstance(IMAGE.confirm(planned, receipt, sight.reading(), "k"), NotYet)
    for _ in range(12):
        cluster.clock.sleep(10)
        cluster.run()
    assert IMAGE.confirm(planned, receipt, sight.reading(), "k") == Applied(receipt)


def test_a_variable_has_one_source(cluster: Cluster, sight: Sight) -> None:
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/scoring"
    source = {"configMapKeyRef": {"name": "batch", "key": "other"}}
    inner = {"containers": [{"name": "w", "env": [{"name": "MODE", "valueFrom": source}]}]}
    body = {"spec": {"jobTemplate": {"spec": {"template": {"spec": inner}}}}}
    form = "application/strategic-merge-patch+json"
    assert cluster.call("PATCH", path, body=body, content_type=form).status == 200
    before = cluster.object("CronJob", NAMESPACE, "scoring")["spec"]
    planned = plan(ENV, sight, kind="CronJob", name="scoring", env={"MODE": "fast"})
    receipt = ENV.apply(planned, sight.writing(), "k")
    pod = cluster.object("CronJob", NAMESPACE, "scoring")["spec"]["jobTemplate"]["spec"]["template"]
    assert pod["spec"]["containers"][0]["env"] == [{"name": "MODE", "value": "fast"}]
    ENV.undo(planned, receipt, sight.writing(), "u")
    assert cluster.object("CronJob", NAMESPACE, "scoring")["spec"] == before


def test_suspending_what_is_suspended_is_nothing(sight: Sight) -> None:
    assert plan(SUSPEND, sight, name="paused").is_no_op
