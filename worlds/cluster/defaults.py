"""What the server fills in where a sender said nothing, kind by kind."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from engine.domain.canonical import JsonObject

RESTART = "kubernetes.io/metadata.name"


def apply_defaults(kind: str, item: JsonObject) -> None:
    """Fill the defaults of an object of `kind` in place."""
    fill = _BY_KIND.get(kind)
    if fill:
        fill(item)


def _fill(target: JsonObject, **values: Any) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = value


def _namespace(item: JsonObject) -> None:
    metadata = item["metadata"]
    metadata["labels"] = {RESTART: metadata["name"], **(metadata.get("labels") or {})}
    _fill(item.setdefault("spec", {}), finalizers=["kubernetes"])
    _fill(item, status={"phase": "Active"})


def _secret(item: JsonObject) -> None:
    plain = item.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        item["data"] = {**(item.get("data") or {}), **encoded}
    _fill(item, type="Opaque")


def _image_policy(image: str) -> str:
    name = image.rpartition("/")[2]
    latest = "@" not in image and (":" not in name or name.endswith(":latest"))
    return "Always" if latest else "IfNotPresent"


def _probe(probe: JsonObject) -> None:
    _fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if probe.get("httpGet") is not None:
        _fill(probe["httpGet"], path="/", scheme="HTTP")


def _container(container: JsonObject) -> None:
    _fill(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_image_policy(container.get("image") or ""),
    )
    # A request that is not given equals its limit.
    limits = container["resources"].get("limits") or {}
    if limits:
        requests = container["resources"].setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)
    for port in container.get("ports") or []:
        _fill(port, protocol="TCP")
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _fill(reference, apiVersion="v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _probe(container[name])


def _volume(volume: JsonObject) -> None:
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if volume.get(source) is not None:
            _fill(volume[source], defaultMode=420)
    if volume.get("hostPath") is not None:
        _fill(volume["hostPath"], type="")


def pod_spec(spec: JsonObject, *, in_template: bool = True) -> None:
    """Fill a pod's spec; a template gets requests from limits only when its pod is made."""
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        before = dict((container.get("resources") or {}).get("requests") or {})
        _container(container)
        if in_template and container["resources"].get("requests") is not None:
            container["resources"]["requests"] = before
            if not before:
                del container["resources"]["requests"]
    for volume in spec.get("volumes") or []:
        _volume(volume)
    _fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]


def _template(template: JsonObject) -> None:
    template.setdefault("metadata", {})["creationTimestamp"] = None
    pod_spec(template.setdefault("spec", {}))


def _pod(item: JsonObject) -> None:
    spec = item["spec"]
    pod_spec(spec, in_template=False)
    _fill(spec, serviceAccountName="default", enableServiceLinks=True)
    spec["serviceAccount"] = spec["serviceAccountName"]
    _fill(spec, preemptionPolicy="PreemptLowerPriority", priority=0)
    if not spec.get("tolerations"):
        spec["tolerations"] = [
            {
                "key": f"node.kubernetes.io/{trouble}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for trouble in ("not-ready", "unreachable")
        ]


def _deployment(item: JsonObject) -> None:
    spec = item["spec"]
    _fill(spec, replicas=1)
    _template(spec["template"])
    strategy = spec.get("strategy") or {}
    spec["strategy"] = strategy
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, rollingUpdate={})
        _fill(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    _fill(spec, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    _fill(item, status={})


def _replica_set(item: JsonObject) -> None:
    _fill(item["spec"], replicas=1)
    _template(item["spec"]["template"])
    _fill(item, status={"replicas": 0})


def _stateful_set(item: JsonObject) -> None:
    spec = item["spec"]
    _fill(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    _fill(spec, updateStrategy={}, serviceName="")
    _fill(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _fill(spec["updateStrategy"], rollingUpdate={"partition": 0})
    _fill(
        spec,
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
    )
    _template(spec["template"])
    _fill(item, status={"replicas": 0, "availableReplicas": 0})


def _daemon_set(item: JsonObject) -> None:
    spec = item["spec"]
    _fill(spec, revisionHistoryLimit=10, updateStrategy={})
    _fill(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _fill(spec["updateStrategy"], rollingUpdate={})
        _fill(spec["updateStrategy"]["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    _template(spec["template"])
    zero = dict.fromkeys(
        (
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
        ),
        0,
    )
    _fill(item, status=zero)


def _job(item: JsonObject) -> None:
    spec, uid = item["spec"], item["metadata"].get("uid")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        _fill(spec, completions=1)
    _fill(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        manualSelector=False,
        podReplacementPolicy="TerminatingOrFailed",
    )
    _template(spec["template"])
    if not spec["manualSelector"] and spec.get("selector") is None and uid:
        labels = spec["template"]["metadata"].get("labels") or {}
        name = item["metadata"]["name"]
        spec["template"]["metadata"]["labels"] = {
            **labels,
            "batch.kubernetes.io/controller-uid": uid,
            "batch.kubernetes.io/job-name": name,
            "controller-uid": uid,
            "job-name": name,
        }
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    _fill(item, status={})


def _cron_job(item: JsonObject) -> None:
    spec = item["spec"]
    _fill(
        spec,
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )
    job = spec["jobTemplate"]
    job.setdefault("metadata", {})["creationTimestamp"] = None
    _template(job["spec"].setdefault("template", {}))
    _fill(item, status={})


def _budget(item: JsonObject) -> None:
    _fill(
        item,
        status={
            "disruptionsAllowed": 0,
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        },
    )


def _binding(item: JsonObject) -> None:
    _fill(item["roleRef"], apiGroup="rbac.authorization.k8s.io")
    for subject in item.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            _fill(subject, apiGroup="rbac.authorization.k8s.io")


def _service(item: JsonObject) -> None:
    spec = item.setdefault("spec", {})
    _fill(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports") or []:
        _fill(port, protocol="TCP", targetPort=port.get("port"))
    _fill(item, status={"loadBalancer": {}})


def _claim(item: JsonObject) -> None:
    _fill(item["spec"], volumeMode="Filesystem")
    _fill(item, status={"phase": "Pending"})


def _autoscaler(item: JsonObject) -> None:
    _fill(item["spec"], minReplicas=1)
    _fill(item, status={"currentMetrics": None, "desiredReplicas": 0})


_BY_KIND: dict[str, Callable[[JsonObject], None]] = {
    "Namespace": _namespace,
    "Secret": _secret,
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "CronJob": _cron_job,
    "PodDisruptionBudget": _budget,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "Service": _service,
    "PersistentVolumeClaim": _claim,
    "HorizontalPodAutoscaler": _autoscaler,
}
