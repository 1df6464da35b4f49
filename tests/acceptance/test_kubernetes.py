"""The Kubernetes actions against a cluster in a process of its own, or against any real one.

With STANCH_TEST_KUBECONFIG (and, where it is not the current one, STANCH_TEST_CONTEXT) the same tests
run on that cluster, in a namespace of their own that is removed at the end. Its nodes must be able to
pull the image named below.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.connection import KubernetesKind
from actions.kubernetes.logs import KubernetesLogs, LogsParams
from actions.kubernetes.patch import KubernetesPatch, PatchParams
from actions.kubernetes.reads import GetParams, KubernetesGet, KubernetesList, ListParams
from actions.kubernetes.rollouts import (
    KubernetesRolloutRestart,
    KubernetesRolloutStatus,
    RestartParams,
    StatusParams,
)
from actions.kubernetes.scale import KubernetesScale, ScaleParams
from engine.contract import ActionFailed, Applied, Category, Confirmation, NotApplied, Opening
from engine.contract.registry import load_registry
from engine.domain.canonical import JsonObject
from engine.domain.clock import SystemClock
from tests.contract.actions.kube_scene import Sight

IMAGE = "registry.k8s.io/pause:3.10"
REAL = os.environ.get("STANCH_TEST_KUBECONFIG")


def clients(kubeconfig: Path, context: str | None) -> Sight:
    kind, clock = KubernetesKind(), SystemClock()
    given: JsonObject = {"kubeconfig": kubeconfig} | ({"context": context} if context else {})
    settings = kind.Settings.model_validate(given)
    reader, writer = (
        kind.open(Opening("cluster", settings, writable, clock, str)) for writable in (False, True)
    )
    return Sight(reader, writer, clock)


@pytest.fixture(scope="module")
def sight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sight]:
    if REAL:
        yield clients(Path(REAL), os.environ.get("STANCH_TEST_CONTEXT"))
        return
    path = tmp_path_factory.mktemp("cluster") / "kubeconfig"
    command = [sys.executable, "-m", "worlds.cluster", "--speed", "20", "--kubeconfig", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        yield clients(path, None)
    finally:
        process.terminate()
        process.wait(10)


def post(client: KubernetesClient, path: str, body: Any) -> None:
    client.request("POST", path, {}, body)


@pytest.fixture(scope="module")
def namespace(sight: Sight) -> Iterator[str]:
    name = f"stanch-test-{uuid4().hex[:8]}"
    post(sight.writer, "/api/v1/namespaces", {"metadata": {"name": name}})
    try:
        post(sight.writer, f"/apis/apps/v1/namespaces/{name}/deployments", deployment())
        post(sight.writer, f"/apis/batch/v1/namespaces/{name}/cronjobs", cron_job())
        values = {"workers": "4", "app.yaml": "a: 1  # tuned\n"}
        data = {"metadata": {"name": "settings"}, "data": values}
        secret = {"metadata": {"name": "keys"}, "stringData": {"token": "some-value"}}
        post(sight.writer, f"/api/v1/namespaces/{name}/secrets", secret)
        post(sight.writer, f"/api/v1/namespaces/{name}/configmaps", data)
        status = StatusParams(connection="cluster", namespace=name, name="web")
        until(lambda: KubernetesRolloutStatus().read(status, sight)["complete"])
        yield name
    finally:
        sight.writer.request("DELETE", f"/api/v1/namespaces/{name}")


def deployment() -> JsonObject:
    labels = {"app": "web"}
    container = {"name": "web", "image": IMAGE, "resources": {"limits": {"memory": "32Mi"}}}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    return {"metadata": {"name": "web", "labels": labels}, "spec": spec}


def cron_job() -> JsonObject:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": IMAGE}]}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    return {"metadata": {"name": "yearly"}, "spec": spec}


def until(done: Callable[[], bool], within: float = 120.0) -> None:
    end = time.monotonic() + within
    while not done():
        assert time.monotonic() < end, f"not within {within:g} s"
        time.sleep(0.1)


def version(sight: Sight, namespace: str, kind: str, name: str) -> str:
    params = GetParams(connection="cluster", namespace=namespace, kind=kind, name=name)
    found: str = KubernetesGet().read(params, sight)["object"]["metadata"]["resourceVersion"]
    return found


def applied(ask: Callable[[], Confirmation]) -> Applied:
    answers: list[Confirmation] = []

    def settled() -> bool:
        answers.append(ask())
        return isinstance(answers[-1], Applied)

    until(settled)
    assert isinstance(answers[-1], Applied)
    return answers[-1]


def test_a_change_is_planned_without_a_trace_made_once_and_undone(
    sight: Sight, namespace: str
) -> None:
    action = KubernetesPatch()
    params = PatchParams(
        connection="cluster",
        namespace=namespace,
        kind="ConfigMap",
        name="settings",
        patch={"data": {"workers": "2", "paused": "yes"}},
    )
    before = version(sight, namespace, "ConfigMap", "settings")
    planned = action.plan(params, sight.reading())
    assert planned.before == {"data.paused": None, "data.workers": "4"}
    assert planned.after == {"data.paused": "yes", "data.workers": "2"}
    assert version(sight, namespace, "ConfigMap", "settings") == before
    assert isinstance(action.confirm(planned, None, sight.reading(), "k1"), NotApplied)
    receipt = action.apply(planned, sight.writing(), "k1")
    once = version(sight, namespace, "ConfigMap", "settings")
    action.apply(planned, sight.writing(), "k1")
    assert version(sight, namespace, "ConfigMap", "settings") == once
    # After a crash the receipt is lost, and the object tells.
    answer = action.confirm(planned, None, sight.reading(), "k1")
    assert isinstance(answer, Applied)
    assert answer.receipt.after == receipt.after == planned.after
    assert answer.receipt.before_image == receipt.before_image
    undone = action.undo(planned, receipt, sight.writing(), "u1")
    assert undone.after == planned.before


def test_suspend_and_resume_are_chained(sight: Sight, namespace: str) -> None:
    action = KubernetesPatch()

    def params(suspend: bool) -> PatchParams:
        return PatchParams(
            connection="cluster",
            namespace=namespace,
            kind="CronJob",
            name="yearly",
            patch={"spec": {"suspend": suspend}},
        )

    first = action.plan(params(True), sight.reading())
    second = action.plan(params(False), sight.reading([first]))
    assert (first.before, second.before) == ({"spec.suspend": False}, {"spec.suspend": True})


def test_a_deployment_is_scaled_and_scaled_back(sight: Sight, namespace: str) -> None:
    action = KubernetesScale()
    params = ScaleParams(connection="cluster", namespace=namespace, name="web", replicas=3)
    planned = action.plan(params, sight.reading())
    assert (planned.before, planned.counts) == ({"spec.replicas": 2}, {"pods": 1})
    receipt = action.apply(planned, sight.writing(), "k2")
    applied(lambda: action.confirm(planned, receipt, sight.reading(), "k2"))
    pods = KubernetesList().read(
        ListParams(connection="cluster", namespace=namespace, kind="Pod", labels="app=web"), sight
    )
    assert pods["count"] == 3
    assert action.undo(planned, receipt, sight.writing(), "u2").after == {"spec.replicas": 2}


def test_a_restart_ends_with_its_rollout(sight: Sight, namespace: str) -> None:
    action = KubernetesRolloutRestart()

    def pods() -> set[str]:
        params = ListParams(connection="cluster", namespace=namespace, kind="Pod", labels="app=web")
        return set(KubernetesList().read(params, sight)["names"])

    status = StatusParams(connection="cluster", namespace=namespace, name="web")
    until(lambda: KubernetesRolloutStatus().read(status, sight)["complete"])
    before = pods()
    params = RestartParams(connection="cluster", namespace=namespace, name="web")
    planned = action.plan(params, sight.reading())
    receipt = action.apply(planned, sight.writing(), "k3")
    applied(lambda: action.confirm(planned, receipt, sight.reading(), "k3"))
    until(lambda: len(pods()) == 2)
    assert not pods() & before


def test_a_controllers_status_updates_do_not_fail_a_change(sight: Sight, namespace: str) -> None:
    action = KubernetesPatch()
    patch = {"metadata": {"labels": {"tried": "yes"}}}
    params = PatchParams(
        connection="cluster", namespace=namespace, kind="Deployment", name="web", patch=patch
    )
    planned = action.plan(params, sight.reading())
    scale = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"
    sight.writer.patch(scale, {"spec": {"replicas": 1}}, "application/merge-patch+json")
    receipt = action.apply(planned, sight.writing(), "k4")
    assert receipt.after == {"metadata.labels.tried": "yes"}


def test_a_field_that_others_changed_is_named(sight: Sight, namespace: str) -> None:
    action = KubernetesPatch()
    params = PatchParams(
        connection="cluster",
        namespace=namespace,
        kind="ConfigMap",
        name="settings",
        patch={"data": {"owner": "us"}},
    )
    planned = action.plan(params, sight.reading())
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    sight.writer.patch(path, {"data": {"owner": "them"}}, "application/merge-patch+json")
    with pytest.raises(ActionFailed, match=r"data\.owner was None at the plan and is 'them' now"):
        action.apply(planned, sight.writing(), "k5")


def test_logs_of_all_pods_are_read(sight: Sight, namespace: str) -> None:
    params = LogsParams(connection="cluster", namespace=namespace, labels="app=web", tail=5)
    answer = KubernetesLogs().read(params, sight)
    assert answer["logs"]


def test_refusals_are_classified_in_the_servers_words(sight: Sight, namespace: str) -> None:
    params = GetParams(connection="cluster", namespace=namespace, kind="Deployment", name="nope")
    with pytest.raises(ActionFailed, match=r'deployments\.apps "nope" not found') as caught:
        KubernetesGet().read(params, sight)
    assert caught.value.category is Category.PERMANENT
    patch = PatchParams(
        connection="cluster",
        namespace=namespace,
        kind="Deployment",
        name="web",
        patch={"spec": {"replicas": -1}},
    )
    with pytest.raises(ActionFailed, match=r"spec\.replicas: Invalid value: -1") as caught:
        KubernetesPatch().plan(patch, sight.reading())
    assert caught.value.category is Category.PERMANENT


CYCLES: list[tuple[str, JsonObject]] = [
    ("cronjob_suspend", {"name": "yearly"}),
    (
        "cronjob_set",
        {"name": "yearly", "schedule": "5 4 1 1 *", "deadline": "1h", "env": {"A": "1"}},
    ),
    ("set_resources", {"name": "web", "limits": {"memory": "48Mi"}, "requests": {"cpu": "1m"}}),
    ("set_env", {"name": "web", "env": {"MODE": "careful"}}),
    ("configmap_merge", {"name": "settings", "entry": "app.yaml", "merge": {"a": 2, "b": [1]}}),
    ("secret_set", {"name": "keys", "data": {"token": "another-value"}}),
    ("job_from_cronjob", {"name": "yearly", "env": {"A": "2"}}),
]


@pytest.mark.parametrize(("name", "given"), CYCLES, ids=[name for name, _ in CYCLES])
def test_changes_are_made_once_and_undone(
    sight: Sight, namespace: str, name: str, given: JsonObject
) -> None:
    action: Any = load_registry().action(f"kubernetes.{name}")
    params = action.Params.model_validate(
        {"connection": "cluster", "namespace": namespace, **given}
    )
    planned = action.plan(params, sight.reading())
    assert not planned.is_no_op
    assert action.confirm(planned, None, sight.reading(), f"c-{name}") == NotApplied()
    receipt = action.apply(planned, sight.writing(), f"c-{name}")
    again = action.apply(planned, sight.writing(), f"c-{name}")
    assert (again.after, again.counts) == (receipt.after, receipt.counts)
    applied(lambda: action.confirm(planned, receipt, sight.reading(), f"c-{name}"))
    action.undo(planned, receipt, sight.writing(), f"u-{name}")
    assert action.plan(params, sight.reading()).before == planned.before


def test_a_deployment_goes_back_to_the_revision_before(sight: Sight, namespace: str) -> None:
    registry = load_registry()
    base = {"connection": "cluster", "namespace": namespace, "name": "web"}
    change: Any = registry.action("kubernetes.set_env")
    params = change.Params.model_validate({**base, "env": {"BROKEN": "yes"}})
    planned = change.plan(params, sight.reading())
    receipt = change.apply(planned, sight.writing(), "r1")
    applied(lambda: change.confirm(planned, receipt, sight.reading(), "r1"))
    back: Any = registry.action("kubernetes.rollout_undo")
    plan = back.plan(back.Params.model_validate(base), sight.reading())
    done = back.apply(plan, sight.writing(), "r2")
    applied(lambda: back.confirm(plan, done, sight.reading(), "r2"))
    assert change.plan(params, sight.reading()).before == planned.before
    waited: Any = registry.action("kubernetes.rollout_wait")
    seen = waited.read(waited.Params.model_validate(base), sight.reading())
    assert seen["complete"]


@pytest.mark.parametrize("name", ["delete_pod", "evict"])
def test_a_pod_goes_and_another_comes(sight: Sight, namespace: str, name: str) -> None:
    listed = ListParams(connection="cluster", namespace=namespace, kind="Pod", labels="app=web")
    pod = KubernetesList().read(listed, sight)["names"][0]
    action: Any = load_registry().action(f"kubernetes.{name}")
    given = {"connection": "cluster", "namespace": namespace, "name": pod, "grace": 1}
    planned = action.plan(action.Params.model_validate(given), sight.reading())
    receipt = action.apply(planned, sight.writing(), "p1")
    applied(lambda: action.confirm(planned, receipt, sight.reading(), "p1"))
    status = StatusParams(connection="cluster", namespace=namespace, name="web")
    until(lambda: KubernetesRolloutStatus().read(status, sight)["complete"])


def test_reads_say_how_things_are(sight: Sight, namespace: str) -> None:
    registry = load_registry()

    def ask(verb: str, **given: Any) -> Any:
        action: Any = registry.action(f"kubernetes.{verb}")
        params = {"connection": "cluster", "namespace": namespace, **given}
        return action.read(action.Params.model_validate(params), sight.reading())

    summary = ask("describe", kind="Deployment", name="web")
    assert summary["pods"]
    assert summary["images"] == {"web": IMAGE}
    assert ask("events", kind="Deployment", name="web")["count"] > 0
    assert ask("can_i", kind="Pod", verbs=["get", "delete"])["allowed"]
    checked = ask("secret_check", name="keys", keys={"token": "token", "none": "text"})
    assert checked["problems"] == ["none: is not there"]


def test_a_read_only_client_writes_nothing(sight: Sight, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    with pytest.raises(ActionFailed, match="not sent"):
        sight.reader.patch(path, {"spec": {"replicas": 0}}, "application/merge-patch+json")
