"""Kubernetes's cases, over the in-memory cluster behind its HTTP server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from actions.kubernetes.access import KubernetesCanI
from actions.kubernetes.changing import MERGE, STRATEGIC
from actions.kubernetes.cleaning import KubernetesJobsClean
from actions.kubernetes.configmaps import KubernetesConfigMapMerge
from actions.kubernetes.connection import KubernetesKind
from actions.kubernetes.cronjobs import (
    KubernetesCronJobResume,
    KubernetesCronJobSet,
    KubernetesCronJobSuspend,
)
from actions.kubernetes.debugging import KubernetesDebugPod
from actions.kubernetes.describe import KubernetesDescribe, KubernetesEvents
from actions.kubernetes.execute import KubernetesExec
from actions.kubernetes.jobhistory import KubernetesCronJobHistory
from actions.kubernetes.jobs import KubernetesJobFromCronJob
from actions.kubernetes.logs import KubernetesLogs
from actions.kubernetes.patch import KubernetesPatch
from actions.kubernetes.reads import KubernetesGet, KubernetesList
from actions.kubernetes.recent import KubernetesRecentChanges
from actions.kubernetes.removing import KubernetesDeletePod, KubernetesEvict
from actions.kubernetes.rollbacks import KubernetesRolloutUndo
from actions.kubernetes.rollouts import KubernetesRolloutRestart, KubernetesRolloutStatus
from actions.kubernetes.scale import KubernetesScale
from actions.kubernetes.secrets import KubernetesSecretCheck, KubernetesSecretSet
from actions.kubernetes.waiting import KubernetesJobWait, KubernetesRolloutWait
from actions.kubernetes.workloads import (
    KubernetesSetEnv,
    KubernetesSetImage,
    KubernetesSetResources,
)
from engine.contract import Category
from engine.domain.clock import ManualClock
from tests.contract.actions.cases import ChangeCase, Fault, ReadCase
from tests.contract.actions.kube_scene import NAMESPACE, make_cluster
from tests.contract.actions.worlds import Connections
from worlds.cluster import ADMIN_TOKEN, Cluster
from worlds.cluster.server import ClusterServer
from worlds.servers.process import free_port

WRONG = "wr0ng+token/=&"
_OWN = ("stanch.dev/", "deployment.kubernetes.io/")


@dataclass
class Stage:
    """A served cluster whose clock the test moves."""

    cluster: Cluster
    clock: ManualClock
    url: str

    def connections(self, url: str = "", token: str = ADMIN_TOKEN) -> Connections:
        raw = {
            "server": url or self.url,
            "token": {"env": "TOKEN"},
            "timeout": 5,
            "allow": {"commands": ["echo ..."]},
        }
        return Connections({"cluster": (KubernetesKind(), raw)}, {"TOKEN": token}, self.clock)

    def state(self) -> Any:
        """What people declared, without status, versions and the marks of whoever wrote last."""
        jobs = self.cluster.objects("Job", NAMESPACE)
        alone = [
            pod
            for pod in self.cluster.objects("Pod", NAMESPACE)
            if not pod["metadata"].get("ownerReferences")
        ]
        made = {
            f"{item['kind']}/{item['metadata']['name']}": True
            for item in (*jobs, *alone)
            if "deletionTimestamp" not in item["metadata"]
        }
        return {"ran": list(self.cluster.programs.ran), **made} | {
            name: _declared(self.cluster.object(kind, NAMESPACE, name))
            for kind, name in (
                ("Deployment", "etl-worker"),
                ("CronJob", "scoring"),
                ("CronJob", "paused"),
                ("StatefulSet", "db"),
                ("ConfigMap", "batch"),
                ("Secret", "keys"),
            )
        }

    def writes(self) -> list[str]:
        return [f"{entry.method} {entry.path}" for entry in self.cluster.requests.writes]

    def settle(self) -> None:
        for _ in range(6):
            self.clock.advance(10)
            self.cluster.run()


def _declared(item: Mapping[str, Any]) -> Any:
    notes = item["metadata"].get("annotations", {})
    kept = {name: text for name, text in notes.items() if not name.startswith(_OWN)}
    return {"annotations": kept, "labels": item["metadata"].get("labels")} | {
        part: item[part] for part in ("spec", "data") if part in item
    }


def _stage(request: pytest.FixtureRequest) -> Stage:
    clock = ManualClock()
    cluster = make_cluster(clock)
    server = ClusterServer(cluster).start()
    request.addfinalizer(server.stop)
    return Stage(cluster, clock, server.url)


def _parts(stage: Stage, params: Mapping[str, Any], missing: Mapping[str, Any]) -> tuple[Any, ...]:
    whole = {"connection": "cluster", "namespace": NAMESPACE, **params}
    faults = {
        "unreachable": Fault(
            Category.TRANSIENT, stage.connections(f"http://127.0.0.1:{free_port()}"), whole
        ),
        "credentials": Fault(Category.CONFIGURATION, stage.connections(token=WRONG), whole),
    }
    if missing:
        asked = {**whole, **missing}
        faults["missing"] = Fault(Category.PERMANENT, stage.connections(), asked)
    secrets = [ADMIN_TOKEN, WRONG, "hunter2-hunter2"]
    return (
        stage.connections(),
        whole,
        stage.state,
        stage.writes,
        faults,
        secrets,
        stage.cluster,
    )


def _change(
    action: Any,
    params: Mapping[str, Any],
    theirs: Any = None,
    conflict: str = "",
    prepare: Any = None,
    *,
    missing: Mapping[str, Any] | None = None,
    secret_image: bool = False,
) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        stage = _stage(request)
        if prepare is not None:
            prepare(stage.cluster)
            stage.settle()
        wrong = {"name": "no-such"} if missing is None else missing
        case = ChangeCase(*_parts(stage, params, wrong), action=action)
        case.secret_image = secret_image
        case.settle = stage.settle
        if theirs is not None:
            case.meddle, case.conflict = lambda: theirs(stage.cluster), conflict
        return case

    return build


def _read(
    action: Any,
    params: Mapping[str, Any],
    missing: Mapping[str, Any],
    check: Any,
    prepare: Any = None,
) -> Any:
    def build(request: pytest.FixtureRequest) -> ReadCase:
        stage = _stage(request)
        if prepare is not None:
            prepare(stage.cluster)
            stage.settle()
        return ReadCase(*_parts(stage, params, missing), action=action, check=check)

    return build


def _patches(path: str, patch: Mapping[str, Any], form: str = MERGE) -> Any:
    def apply(cluster: Cluster) -> None:
        answer = cluster.call("PATCH", path, body=patch, content_type=form)
        assert answer.status == 200

    return apply


def _container(**changes: Any) -> Any:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **changes}]}}}}


def make_job(name: str, exit_code: int = 0) -> Any:
    """Make a job whose pod ends with `exit_code`."""
    notes = {"fake-kubelet/exit-code": str(exit_code), "fake-kubelet/logs": f"{name} says so"}
    pod = {"restartPolicy": "Never", "containers": [{"name": "w", "image": "registry.invalid/w:1"}]}
    body = {
        "metadata": {"name": name, "labels": {"app": "scoring"}},
        "spec": {
            "backoffLimit": 0,
            "template": {"metadata": {"annotations": notes}, "spec": pod},
        },
    }

    def make(cluster: Cluster) -> None:
        assert cluster.call("POST", _JOBS, body=body).status == 201

    return make


def make_pod(name: str) -> Any:
    """Make a pod that nobody owns."""
    spec = {"containers": [{"name": "w", "image": "registry.invalid/w:1"}]}

    def make(cluster: Cluster) -> None:
        body = {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
        assert cluster.call("POST", _PODS, body=body).status == 201

    return make


def _made_anew(cluster: Cluster) -> None:
    """Delete the job that a step made, and make another of its name."""
    name = cluster.objects("Job", NAMESPACE)[0]["metadata"]["name"]
    assert cluster.call("DELETE", f"{_JOBS}/{name}", body={}).status == 200
    make_job(name)(cluster)


def _pod_made_anew(cluster: Cluster) -> None:
    """Delete the pod that a step made, and make another of its name."""
    names = [pod["metadata"]["name"] for pod in cluster.objects("Pod", NAMESPACE)]
    name = next(each for each in names if each.startswith("debug-"))
    path = f"{_PODS}/{name}"
    assert cluster.call("DELETE", path, body={"gracePeriodSeconds": 0}).status == 200
    make_pod(name)(cluster)


def _failed_jobs(cluster: Cluster) -> None:
    make_job("old-1", 1)(cluster)
    make_job("old-2", 1)(cluster)
    make_job("good")(cluster)


def _may(output: Any) -> None:
    assert output["allowed"]
    assert output["verbs"] == {"get": True, "patch": True}


def _secret(output: Any) -> None:
    assert output["keys"]["token"] == {"present": True, "well_formed": True, "problem": None}
    assert output["problems"] == ["url: is not there"]


def _done(output: Any) -> None:
    assert (output["state"], output["timed_out"]) == ("complete", False)
    assert "by-hand says so" in output["logs"]["text"]


def _described(output: Any) -> None:
    assert [pod["ready"] for pod in output["pods"]] == ["2/2", "2/2"]
    assert any(event["reason"] == "ScalingReplicaSet" for event in output["events"])
    assert "pod etl-worker-" in output["text"]


def _history(output: Any) -> None:
    assert output["schedule"] == "0 * * * *"
    assert output["jobs"] == []
    assert output["consecutive_failures"] == 0


def _events(output: Any) -> None:
    assert {event["object"] for event in output["events"]} == {"Deployment/etl-worker"}


def _changed_lately(output: Any) -> None:
    assert [change["object"] for change in output["changes"]] == ["ConfigMap/batch"]
    assert "data.batch.yaml" in output["changes"][0]["fields"]


def _status(output: Any) -> None:
    assert output["complete"]


def _get(output: Any) -> None:
    assert "etl-worker" in str(output)


def _list(output: Any) -> None:
    assert len(output["items"]) == 2


def _logs(output: Any) -> None:
    assert "container app of" in output["text"]


_APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker"
_STS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/db"
_CRON = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/scoring"
_PAUSED = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/paused"
_CONFIG = f"/api/v1/namespaces/{NAMESPACE}/configmaps/batch"
_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/keys"
_NAMED = {"kind": "Deployment", "name": "etl-worker"}
_MISSING = {"name": "no-such"}
CHANGES = {
    "kubernetes.patch": _change(
        KubernetesPatch(),
        {"kind": "CronJob", "name": "scoring", "patch": {"spec": {"suspend": True}}},
        _patches(_CRON, {"spec": {"suspend": False}}),
        "spec.suspend",
    ),
    "kubernetes.scale": _change(
        KubernetesScale(),
        {**_NAMED, "replicas": 3},
        _patches(_APPS, {"spec": {"replicas": 5}}),
        "spec.replicas",
    ),
    "kubernetes.rollout_restart": _change(KubernetesRolloutRestart(), _NAMED),
    "kubernetes.rollout_undo": _change(
        KubernetesRolloutUndo(),
        {"name": "etl-worker"},
        _patches(_APPS, _container(image="registry.invalid/app:3"), STRATEGIC),
        "image",
        _patches(_APPS, _container(image="registry.invalid/app:2"), STRATEGIC),
    ),
    "kubernetes.rollout_undo: a StatefulSet": _change(
        KubernetesRolloutUndo(),
        {"kind": "StatefulSet", "name": "db"},
        _patches(_STS, _container(image="registry.invalid/app:3", name="db"), STRATEGIC),
        "image",
        _patches(_STS, _container(image="registry.invalid/app:2", name="db"), STRATEGIC),
    ),
    "kubernetes.job_from_cronjob": _change(
        KubernetesJobFromCronJob(),
        {"name": "paused", "env": {"BATCH": "5"}},
        _made_anew,
        "made anew",
    ),
    "kubernetes.jobs_clean": _change(
        KubernetesJobsClean(),
        {"labels": "app=scoring"},
        prepare=_failed_jobs,
        missing={},
    ),
    "kubernetes.delete_pod": _change(
        KubernetesDeletePod(), {"name": "lonely"}, prepare=make_pod("lonely")
    ),
    "kubernetes.evict": _change(
        KubernetesEvict(), {"name": "lonely", "grace": 5}, prepare=make_pod("lonely")
    ),
    "kubernetes.debug_pod": _change(
        KubernetesDebugPod(),
        {"image": "registry.invalid/w:1", "command": ["true"], "wait_for": "ended"},
        _pod_made_anew,
        "made anew",
        missing={"namespace": "no-such"},
    ),
    "kubernetes.exec": _change(
        KubernetesExec(),
        {"name": "lonely", "command": ["echo", "a b", "; true"]},
        prepare=make_pod("lonely"),
    ),
    "kubernetes.secret_set": _change(
        KubernetesSecretSet(),
        {"name": "keys", "data": {"token": "n3w-value-of-it", "more": "another"}},
        _patches(_SECRET, {"stringData": {"token": "theirs"}}),
        "data.token",
        secret_image=True,
    ),
    "kubernetes.cronjob_suspend": _change(
        KubernetesCronJobSuspend(),
        {"name": "scoring"},
        _patches(_CRON, {"spec": {"suspend": False}}),
        "spec.suspend",
    ),
    "kubernetes.cronjob_resume": _change(
        KubernetesCronJobResume(),
        {"name": "paused"},
        _patches(_PAUSED, {"spec": {"suspend": True}}),
        "spec.suspend",
    ),
    "kubernetes.cronjob_set": _change(
        KubernetesCronJobSet(),
        {
            "name": "scoring",
            "schedule": "30 4 * * *",
            "time_zone": "Etc/UTC",
            "concurrency": "Forbid",
            "keep_succeeded": 2,
            "keep_failed": 3,
            "start_within": "10m",
            "backoff_limit": 1,
            "deadline": "2h",
            "env": {"MODE": "careful"},
            "limits": {"memory": "1Gi"},
        },
        _patches(_CRON, {"spec": {"schedule": "0 0 * * *"}}),
        "spec.schedule",
    ),
    "kubernetes.set_image": _change(
        KubernetesSetImage(),
        {**_NAMED, "container": "app", "image": "registry.invalid/app:2"},
        _patches(_APPS, _container(image="registry.invalid/app:3"), STRATEGIC),
        "image",
    ),
    "kubernetes.set_resources": _change(
        KubernetesSetResources(),
        {**_NAMED, "container": "app", "limits": {"memory": "1Gi"}, "requests": {"cpu": "250m"}},
        _patches(_APPS, _container(resources={"limits": {"memory": "2Gi"}}), STRATEGIC),
        "limits.memory",
    ),
    "kubernetes.set_env": _change(
        KubernetesSetEnv(),
        {**_NAMED, "container": "app", "env": {"MODE": None, "BATCH": "5", "GONE": None}},
        _patches(_APPS, _container(env=[{"name": "BATCH", "value": "6"}]), STRATEGIC),
        "BATCH",
    ),
    "kubernetes.configmap_merge": _change(
        KubernetesConfigMapMerge(),
        {"name": "batch", "entry": "batch.yaml", "merge": {"workers": 2}, "data": {"more": "1"}},
        _patches(_CONFIG, {"data": {"batch.yaml": "workers: 3\n"}}),
        "batch.yaml",
    ),
}
READS = {
    "kubernetes.get": _read(KubernetesGet(), _NAMED, _MISSING, _get),
    "kubernetes.list": _read(
        KubernetesList(), {"kind": "Pod", "labels": "app=etl-worker"}, {"kind": "NoSuchKind"}, _list
    ),
    "kubernetes.logs": _read(
        KubernetesLogs(), {"labels": "app=etl-worker"}, {"labels": None, "pod": "no-such"}, _logs
    ),
    "kubernetes.rollout_wait": _read(KubernetesRolloutWait(), _NAMED, _MISSING, _status),
    "kubernetes.job_wait": _read(
        KubernetesJobWait(), {"name": "by-hand"}, _MISSING, _done, make_job("by-hand")
    ),
    "kubernetes.cronjob_history": _read(
        KubernetesCronJobHistory(), {"name": "scoring"}, _MISSING, _history
    ),
    "kubernetes.can_i": _read(
        KubernetesCanI(),
        {"kind": "Deployment", "verbs": ["get", "patch"]},
        {"kind": "NoSuchKind"},
        _may,
    ),
    "kubernetes.secret_check": _read(
        KubernetesSecretCheck(),
        {"name": "keys", "keys": {"token": "token", "url": "url"}},
        {},
        _secret,
    ),
    "kubernetes.describe": _read(KubernetesDescribe(), _NAMED, _MISSING, _described),
    "kubernetes.events": _read(KubernetesEvents(), _NAMED, {}, _events),
    "kubernetes.recent_changes": _read(
        KubernetesRecentChanges(),
        {"objects": [{"kind": "ConfigMap", "name": "batch"}, {"kind": "Secret", "name": "none"}]},
        {"objects": [{"kind": "NoSuchKind", "name": "x"}]},
        _changed_lately,
    ),
    "kubernetes.rollout_status": _read(KubernetesRolloutStatus(), _NAMED, _MISSING, _status),
}
