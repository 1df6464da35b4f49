"""kubernetes.patch, scale and rollout_restart, against the in-memory cluster, in process and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from actions.kubernetes.patch import KubernetesPatch, PatchParams
from actions.kubernetes.rollouts import KubernetesRolloutRestart, RestartParams
from actions.kubernetes.scale import KubernetesScale, ScaleParams
from engine.contract import (
    ActionFailed,
    Applied,
    Category,
    NotApplied,
    NotYet,
    Planned,
    Unknown,
    Unplannable,
    Wrong,
)
from engine.domain.clock import ManualClock
from tests.contract.actions import kube_scene
from tests.contract.actions.kube_scene import NAMESPACE, Sight, in_process, over_http
from worlds.cluster import ADMIN_TOKEN, OPERATOR, OPERATOR_TOKEN, Cluster, Fault
from worlds.cluster.server import ClusterServer

MEMORY = "spec.template.spec.containers[name=app].resources.limits.memory"


@dataclass
class Stage:
    cluster: Cluster
    clock: ManualClock
    sight: Sight

    def object(self, kind: str, name: str) -> Any:
        return self.cluster.object(kind, NAMESPACE, name)

    def writes(self) -> int:
        return len(self.cluster.requests.writes)

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.cluster.run()


@pytest.fixture(params=["in process", "http"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    clock = ManualClock()
    cluster = kube_scene.make_cluster(clock)
    if request.param == "in process":
        yield Stage(cluster, clock, in_process(cluster))
        return
    with ClusterServer(cluster) as server:
        yield Stage(cluster, clock, over_http(server.url, ADMIN_TOKEN, clock))


def patch_params(name: str, patch: Any, kind: str = "Deployment", **more: Any) -> PatchParams:
    return PatchParams(
        connection="cluster", namespace=NAMESPACE, kind=kind, name=name, patch=patch, **more
    )


def memory(amount: str) -> Any:
    limits = {"resources": {"limits": {"memory": amount}}}
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **limits}]}}}}


PATCH, SCALE, RESTART = KubernetesPatch(), KubernetesScale(), KubernetesRolloutRestart()


# ---------------------------------------------------------------- plans


def test_a_plan_is_exact_and_writes_nothing(stage: Stage) -> None:
    before = stage.object("Deployment", "etl-worker")
    count = stage.writes()
    planned = PATCH.plan(patch_params("etl-worker", memory("8Gi")), stage.sight.reading())
    assert planned.before == {
        MEMORY: "128Mi",
        "spec.template.spec.containers[name=app].name": "app",
    }
    assert planned.after == {
        MEMORY: "8Gi",
        "spec.template.spec.containers[name=app].name": "app",
    }
    assert planned.counts == {"objects": 1, "pods": 2}
    assert str(planned.target) == "cluster:starforge/Deployment/etl-worker"
    assert Planned.from_json(planned.as_json()) == planned
    assert stage.writes() == count
    assert stage.object("Deployment", "etl-worker") == before


def test_a_patch_that_changes_nothing_is_a_no_op(stage: Stage) -> None:
    params = patch_params("scoring", {"spec": {"suspend": False}}, "CronJob")
    assert PATCH.plan(params, stage.sight.reading()).is_no_op


def test_changes_of_one_object_are_chained(stage: Stage) -> None:
    suspend = PATCH.plan(
        patch_params("scoring", {"spec": {"suspend": True}}, "CronJob"), stage.sight.reading()
    )
    resume = PATCH.plan(
        patch_params("scoring", {"spec": {"suspend": False}}, "CronJob"),
        stage.sight.reading([suspend]),
    )
    assert (suspend.before, suspend.after) == ({"spec.suspend": False}, {"spec.suspend": True})
    assert (resume.before, resume.after) == ({"spec.suspend": True}, {"spec.suspend": False})
    assert not resume.is_no_op


def test_pods_are_counted_as_the_runs_earlier_scaling_leaves_them(stage: Stage) -> None:
    more = SCALE.plan(scale_params(6), stage.sight.reading())
    earlier = stage.sight.reading([more])
    assert PATCH.plan(patch_params("etl-worker", memory("8Gi")), earlier).counts["pods"] == 6
    assert RESTART.plan(restart_params(), earlier).counts == {"pods": 6}


def test_a_refused_patch_is_permanent_and_keeps_the_object_to_itself(stage: Stage) -> None:
    with pytest.raises(ActionFailed) as caught:
        PATCH.plan(
            patch_params("etl-worker", {"spec": {"replicas": "two"}}, type="merge"),
            stage.sight.reading(),
        )
    assert caught.value.category is Category.PERMANENT
    assert "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas" in str(
        caught.value
    )
    assert "registry.invalid" not in str(caught.value)


@pytest.mark.parametrize(
    "patch", [{"status": {"replicas": 1}}, {"metadata": {"resourceVersion": "1"}}]
)
def test_what_the_server_keeps_cannot_be_patched(stage: Stage, patch: Any) -> None:
    with pytest.raises(Unplannable, match="the server keeps them"):
        PATCH.plan(patch_params("etl-worker", patch), stage.sight.reading())


# ---------------------------------------------------------------- apply, once


def test_apply_twice_with_one_key_writes_once(stage: Stage) -> None:
    params = patch_params("batch", {"data": {"other": None, "new": "1"}}, "ConfigMap")
    planned = PATCH.plan(params, stage.sight.reading())
    assert planned.before == {"data.new": None, "data.other": "kept"}
    assert planned.after == {"data.new": "1", "data.other": None}
    count = stage.writes()
    first = PATCH.apply(planned, stage.sight.writing(), "key-1")
    again = PATCH.apply(planned, stage.sight.writing(), "key-1")
    assert stage.writes() == count + 1
    assert first.after == again.after == planned.after
    assert first.before_image == again.before_image
    live = stage.object("ConfigMap", "batch")
    assert live["data"] == {"batch.yaml": "workers: 4\n", "new": "1"}
    assert live["metadata"]["annotations"] == {"stanch.dev/last-key": "key-1"}
    assert isinstance(PATCH.confirm(planned, first, stage.sight.reading(), "key-1"), Applied)


def test_a_crash_after_the_effect_is_settled_by_confirm(stage: Stage) -> None:
    params = patch_params("scoring", {"spec": {"suspend": True}}, "CronJob")
    planned = PATCH.plan(params, stage.sight.reading())
    stage.cluster.faults.add(Fault("reset_after", method="PATCH"))
    with pytest.raises(ActionFailed) as caught:
        PATCH.apply(planned, stage.sight.writing(), "key-1")
    assert caught.value.category is Category.TRANSIENT
    assert caught.value.effect_possible
    answer = PATCH.confirm(planned, None, stage.sight.reading(), "key-1")
    assert isinstance(answer, Applied)
    assert answer.receipt.after == {"spec.suspend": True}
    PATCH.undo(planned, answer.receipt, stage.sight.writing(), "undo-1")
    assert stage.object("CronJob", "scoring")["spec"]["suspend"] is False


def test_a_crash_before_the_effect_is_settled_by_confirm(stage: Stage) -> None:
    params = patch_params("scoring", {"spec": {"suspend": True}}, "CronJob")
    planned = PATCH.plan(params, stage.sight.reading())
    stage.cluster.faults.add(Fault("reset", method="PATCH"))
    with pytest.raises(ActionFailed) as caught:
        PATCH.apply(planned, stage.sight.writing(), "key-1")
    assert caught.value.effect_possible
    answer = PATCH.confirm(planned, None, stage.sight.reading(), "key-1")
    assert isinstance(answer, NotApplied)


def test_unrelated_writes_do_not_fail_a_change(stage: Stage) -> None:
    planned = PATCH.plan(patch_params("etl-worker", memory("1Gi")), stage.sight.reading())
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker"
    other = {"metadata": {"labels": {"team": "b"}}}
    stage.cluster.call("PATCH", path, body=other, content_type="application/merge-patch+json")
    conflict = Fault("status", method="PATCH", code=409, reason="Conflict", times=3)
    stage.cluster.faults.add(conflict)
    receipt = PATCH.apply(planned, stage.sight.writing(), "key-1")
    assert receipt.after[MEMORY] == "1Gi"
    assert conflict.hits == 3
    assert stage.object("Deployment", "etl-worker")["metadata"]["labels"]["team"] == "b"


def test_a_touched_field_that_moved_fails_and_is_named(stage: Stage) -> None:
    planned = PATCH.plan(patch_params("etl-worker", memory("1Gi")), stage.sight.reading())
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker"
    kind = "application/strategic-merge-patch+json"
    stage.cluster.call("PATCH", path, body=memory("2Gi"), content_type=kind)
    count = stage.writes()
    with pytest.raises(ActionFailed) as caught:
        PATCH.apply(planned, stage.sight.writing(), "key-1")
    assert caught.value.category is Category.DATA
    assert not caught.value.effect_possible
    assert MEMORY in str(caught.value)
    assert stage.writes() == count


def test_an_object_made_anew_is_not_the_planned_one(stage: Stage) -> None:
    params = patch_params("batch", {"data": {"other": "x"}}, "ConfigMap")
    planned = PATCH.plan(params, stage.sight.reading())
    stage.cluster.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}/configmaps/batch")
    stage.cluster.load([kube_scene.SCENE[2]])
    with pytest.raises(ActionFailed, match="made anew"):
        PATCH.apply(planned, stage.sight.writing(), "key-1")


# ---------------------------------------------------------------- undo

STRATEGIC_PATCHES: list[Any] = [
    memory("8Gi"),
    {"spec": {"template": {"spec": {"containers": [{"name": "x", "image": "i:1"}]}}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "$patch": "delete"}]}}}},
    {"spec": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}},
    {"metadata": {"labels": {"app": None, "team": "a"}, "annotations": {"a.b/c": "1"}}},
    {
        "spec": {
            "paused": True,
            "template": {
                "spec": {"containers": [{"name": "app", "env": [{"name": "N", "value": "1"}]}]}
            },
        }
    },
]


@pytest.mark.parametrize("patch", STRATEGIC_PATCHES)
def test_undo_restores_exactly_what_was(stage: Stage, patch: Any) -> None:
    before = stage.object("Deployment", "etl-worker")
    planned = PATCH.plan(patch_params("etl-worker", patch), stage.sight.reading())
    assert not planned.is_no_op
    receipt = PATCH.apply(planned, stage.sight.writing(), "key-1")
    assert receipt.after == planned.after
    stage.later(30)
    PATCH.undo(planned, receipt, stage.sight.writing(), "undo-1")
    after = stage.object("Deployment", "etl-worker")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert "a.b/c" not in after["metadata"]["annotations"]


def test_undo_twice_with_one_key_writes_once(stage: Stage) -> None:
    planned = PATCH.plan(patch_params("etl-worker", memory("8Gi")), stage.sight.reading())
    receipt = PATCH.apply(planned, stage.sight.writing(), "key-1")
    stage.later(30)
    PATCH.undo(planned, receipt, stage.sight.writing(), "undo-1")
    count = stage.writes()
    PATCH.undo(planned, receipt, stage.sight.writing(), "undo-1")
    assert stage.writes() == count


def test_undo_refuses_where_somebody_changed_the_field_since(stage: Stage) -> None:
    params = patch_params("batch", {"data": {"other": "mine"}}, "ConfigMap")
    planned = PATCH.plan(params, stage.sight.reading())
    receipt = PATCH.apply(planned, stage.sight.writing(), "key-1")
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/batch"
    kind = "application/merge-patch+json"
    stage.cluster.call("PATCH", path, body={"data": {"other": "theirs"}}, content_type=kind)
    with pytest.raises(ActionFailed) as caught:
        PATCH.undo(planned, receipt, stage.sight.writing(), "undo-1")
    assert caught.value.category is Category.DATA
    assert "data.other was set to 'mine' and is 'theirs' now" in str(caught.value)
    assert stage.object("ConfigMap", "batch")["data"]["other"] == "theirs"
    (conflict,) = PATCH.conflicts(planned, receipt, stage.sight.reading())
    assert conflict.endswith("data.other was set to 'mine' and is 'theirs' now")
    PATCH.undo(planned, receipt, replace(stage.sight.writing(), overriding=True), "undo-2")
    assert stage.object("ConfigMap", "batch")["data"]["other"] == "kept"


def test_what_newer_undos_restore_first_is_no_conflict(stage: Stage) -> None:
    first = PATCH.plan(
        patch_params("batch", {"data": {"other": "1"}}, "ConfigMap"), stage.sight.reading()
    )
    one = PATCH.apply(first, stage.sight.writing(), "key-1")
    second = PATCH.plan(
        patch_params("batch", {"data": {"other": "2"}}, "ConfigMap"), stage.sight.reading()
    )
    PATCH.apply(second, stage.sight.writing(), "key-2")
    back = Planned(second.action, second.target, second.after, second.before)
    seeing = replace(stage.sight.reading(), earlier=(back,))
    assert PATCH.conflicts(first, one, stage.sight.reading())
    assert PATCH.conflicts(first, one, seeing) == []


def test_undo_leaves_what_others_changed_besides(stage: Stage) -> None:
    params = patch_params("batch", {"data": {"other": "mine"}}, "ConfigMap")
    planned = PATCH.plan(params, stage.sight.reading())
    receipt = PATCH.apply(planned, stage.sight.writing(), "key-1")
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/batch"
    kind = "application/merge-patch+json"
    stage.cluster.call("PATCH", path, body={"data": {"fresh": "theirs"}}, content_type=kind)
    PATCH.undo(planned, receipt, stage.sight.writing(), "undo-1")
    data = stage.object("ConfigMap", "batch")["data"]
    assert data == {"batch.yaml": "workers: 4\n", "other": "kept", "fresh": "theirs"}


def test_a_json_patch_is_planned_applied_and_undone(stage: Stage) -> None:
    operations = [
        {"op": "test", "path": "/spec/schedule", "value": "0 * * * *"},
        {"op": "replace", "path": "/spec/schedule", "value": "0 */2 * * *"},
        {
            "op": "replace",
            "path": "/spec/jobTemplate/spec/template/spec/containers/0/image",
            "value": "registry.invalid/w:2",
        },
    ]
    planned = PATCH.plan(patch_params("scoring", operations, "CronJob"), stage.sight.reading())
    image = "spec.jobTemplate.spec.template.spec.containers[name=w].image"
    assert planned.before == {"spec.schedule": "0 * * * *", image: "registry.invalid/w:1"}
    receipt = PATCH.apply(planned, stage.sight.writing(), "key-1")
    assert receipt.after == {"spec.schedule": "0 */2 * * *", image: "registry.invalid/w:2"}
    PATCH.undo(planned, receipt, stage.sight.writing(), "undo-1")
    assert stage.object("CronJob", "scoring")["spec"]["schedule"] == "0 * * * *"


def test_a_secret_is_changed_without_being_shown(stage: Stage) -> None:
    params = patch_params("keys", {"stringData": {"token": "correct-horse"}}, "Secret")
    planned = PATCH.plan(params, stage.sight.reading())
    shown = repr((planned.before, planned.after, planned.summary))
    assert "correct-horse" not in shown
    assert "aHVudGVy" not in shown
    assert not planned.is_no_op
    receipt = PATCH.apply(planned, stage.sight.writing(), "key-1")
    assert "Y29ycmVjdC1ob3JzZQ" not in repr(receipt.as_json())
    PATCH.undo(planned, receipt, stage.sight.writing(), "undo-1")
    assert stage.object("Secret", "keys")["data"] == {"token": "aHVudGVyMi1odW50ZXIy"}


# ---------------------------------------------------------------- scale


def scale_params(replicas: int, kind: str = "Deployment", name: str = "etl-worker") -> ScaleParams:
    return ScaleParams(
        connection="cluster", namespace=NAMESPACE, kind=kind, name=name, replicas=replicas
    )


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "etl-worker"), ("StatefulSet", "db")])
def test_scale_waits_for_the_pods_and_goes_back(stage: Stage, kind: str, name: str) -> None:
    count = stage.writes()
    planned = SCALE.plan(scale_params(4, kind, name), stage.sight.reading())
    assert (planned.before, planned.after) == ({"spec.replicas": 2}, {"spec.replicas": 4})
    assert planned.counts == {"pods": 2}
    assert stage.writes() == count
    receipt = SCALE.apply(planned, stage.sight.writing(), "key-1")
    SCALE.apply(planned, stage.sight.writing(), "key-1")
    assert [entry.path for entry in stage.cluster.requests.writes][count:] == [
        f"/apis/apps/v1/namespaces/{NAMESPACE}/{kind.lower()}s/{name}"
    ]
    assert isinstance(SCALE.confirm(planned, receipt, stage.sight.reading(), "key-1"), NotYet)
    stage.later(30)
    assert isinstance(SCALE.confirm(planned, receipt, stage.sight.reading(), "key-1"), Applied)
    assert isinstance(SCALE.confirm(planned, None, stage.sight.reading(), "key-1"), Applied)
    SCALE.undo(planned, receipt, stage.sight.writing(), "undo-1")
    assert stage.object(kind, name)["spec"]["replicas"] == 2


def bind_scaler(cluster: Cluster) -> None:
    group = "rbac.authorization.k8s.io"
    role = {
        "kind": "Role",
        "metadata": {"name": "scaler", "namespace": NAMESPACE},
        "rules": [
            {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]}
        ],
    }
    binding = {
        "kind": "RoleBinding",
        "metadata": {"name": "scaler", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "scaler"},
        "subjects": [{"kind": "User", "name": "operator", "apiGroup": group}],
    }
    cluster.load([role, binding])


def narrow(stage: Stage) -> Iterator[Sight]:
    yield in_process(stage.cluster, OPERATOR)
    with ClusterServer(stage.cluster) as server:
        yield over_http(server.url, OPERATOR_TOKEN, stage.clock)


def test_scale_with_the_right_to_scale_only() -> None:
    clock = ManualClock()
    stage = Stage(kube_scene.make_cluster(clock), clock, in_process(Cluster(clock)))
    bind_scaler(stage.cluster)
    for sight in narrow(stage):
        planned = SCALE.plan(scale_params(3), sight.reading())
        assert planned.request["through"] == "scale"
        assert planned.notes
        stage.cluster.faults.add(Fault("reset_after", method="PATCH"))
        with pytest.raises(ActionFailed):
            SCALE.apply(planned, sight.writing(), "key-1")
        stage.later(20)
        answer = SCALE.confirm(planned, None, sight.reading(), "key-1")
        assert isinstance(answer, Applied)
        count = stage.writes()
        SCALE.apply(planned, sight.writing(), "key-1")
        assert stage.writes() == count
        SCALE.undo(planned, answer.receipt, sight.writing(), "undo-1")
        assert stage.object("Deployment", "etl-worker")["spec"]["replicas"] == 2
        stage.later(20)


def test_scale_through_the_subresource_notices_others() -> None:
    clock = ManualClock()
    cluster = kube_scene.make_cluster(clock)
    bind_scaler(cluster)
    sight = in_process(cluster, OPERATOR)
    planned = SCALE.plan(scale_params(3), sight.reading())
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker/scale"
    kind = "application/merge-patch+json"
    cluster.call("PATCH", path, body={"spec": {"replicas": 7}}, content_type=kind)
    with pytest.raises(ActionFailed, match=r"spec.replicas was 2 at the plan and is 7 now"):
        SCALE.apply(planned, sight.writing(), "key-1")
    assert isinstance(SCALE.confirm(planned, None, sight.reading(), "key-1"), Wrong)


# ---------------------------------------------------------------- restart


def restart_params(kind: str = "Deployment", name: str = "etl-worker") -> RestartParams:
    return RestartParams(connection="cluster", namespace=NAMESPACE, kind=kind, name=name)


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "etl-worker"), ("StatefulSet", "db")])
def test_restart_is_confirmed_once_the_rollout_is_done(stage: Stage, kind: str, name: str) -> None:
    count = stage.writes()
    planned = RESTART.plan(restart_params(kind, name), stage.sight.reading())
    assert stage.writes() == count
    assert not planned.reversible
    assert planned.why_irreversible
    assert planned.counts == {"pods": 2}
    assert all(isinstance(value, Unknown) for value in planned.after.values())
    # Planned again later it says the same, so that an approval holds.
    stage.later(60)
    assert RESTART.plan(restart_params(kind, name), stage.sight.reading()).after == planned.after
    receipt = RESTART.apply(planned, stage.sight.writing(), "key-1")
    RESTART.apply(planned, stage.sight.writing(), "key-1")
    assert stage.writes() == count + 1
    assert isinstance(RESTART.confirm(planned, receipt, stage.sight.reading(), "key-1"), NotYet)
    stage.later(0.2)
    assert isinstance(RESTART.confirm(planned, receipt, stage.sight.reading(), "key-1"), NotYet)
    stage.later(60)
    assert isinstance(RESTART.confirm(planned, receipt, stage.sight.reading(), "key-1"), Applied)
    assert isinstance(RESTART.confirm(planned, None, stage.sight.reading(), "key-1"), Applied)


def test_a_restart_that_is_stuck_is_wrong(stage: Stage) -> None:
    planned = RESTART.plan(restart_params(), stage.sight.reading())
    receipt = RESTART.apply(planned, stage.sight.writing(), "key-1")
    image = {"containers": [{"name": "app", "image": "registry.invalid/does-not-exist:9"}]}
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker"
    stage.cluster.call(
        "PATCH",
        path,
        body={"spec": {"template": {"spec": image}}},
        content_type="application/strategic-merge-patch+json",
    )
    stage.later(700)
    answer = RESTART.confirm(planned, receipt, stage.sight.reading(), "key-1")
    assert isinstance(answer, Wrong)
    assert "timed out progressing" in answer.reason


def test_what_has_no_rollout_cannot_be_restarted(stage: Stage) -> None:
    with pytest.raises(ActionFailed, match="CronJob has no rollout"):
        RESTART.plan(restart_params("CronJob", "scoring"), stage.sight.reading())
