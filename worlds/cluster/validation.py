"""What the server refuses, field by field, worded as the server words it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster.cron import parse_schedule
from worlds.cluster.kinds import Kind
from worlds.cluster.quantity import parse_quantity
from worlds.cluster.selectors import object_selector
from worlds.cluster.status import Cause, invalid, quote

Found = Iterator[Cause]
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+\Z")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    r"validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  "
    "or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NOT_NEGATIVE = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"


def validate(kind: Kind, item: JsonObject, before: JsonObject | None) -> None:
    """Refuse an object that breaks a rule of its kind, or a change that its kind does not allow.

    Raises:
        ApiError: 422 with every cause.
    """
    causes = list(_metadata(kind, item))
    causes += (_RULES.get(kind.kind) or _nothing)(item)
    if before is not None:
        causes += (_CHANGES.get(kind.kind) or _no_change)(item, before)
    if causes:
        raise invalid(kind, item["metadata"].get("name", ""), causes)


def _bad(field: str, value: Any, why: str) -> Cause:
    shown = quote(value) if isinstance(value, str) else json.dumps(value)
    return Cause(field, f"Invalid value: {shown}: {why}")


def _required(field: str, why: str = "") -> Cause:
    return Cause(field, f"Required value{': ' + why if why else ''}", "FieldValueRequired")


def _unsupported(field: str, value: str, supported: list[str]) -> Cause:
    listed = ", ".join(f'"{name}"' for name in supported)
    message = f'Unsupported value: "{value}": supported values: {listed}'
    return Cause(field, message, "FieldValueNotSupported")


def _nothing(_: JsonObject) -> Found:
    return iter(())


def _no_change(_: JsonObject, __: JsonObject) -> Found:
    return iter(())


def _metadata(kind: Kind, item: JsonObject) -> Found:
    metadata = item["metadata"]
    name = metadata.get("name") or ""
    if not name:
        yield _required("metadata.name", "name or generateName is required")
    elif kind.group != "rbac.authorization.k8s.io":
        form, text = (
            (_LABEL, _LABEL_TEXT) if kind.kind == "Namespace" else (_SUBDOMAIN, _SUBDOMAIN_TEXT)
        )
        if not form.match(name) or len(name) > 253:
            yield _bad("metadata.name", name, text)
    yield from _labels("metadata.labels", metadata.get("labels") or {})


def _labels(field: str, labels: dict[str, str]) -> Found:
    for value in labels.values():
        if len(value) > 63:
            yield _bad(field, value, "must be no more than 63 bytes")
        elif not _LABEL_VALUE.match(value):
            yield _bad(field, value, _LABEL_VALUE_TEXT)


def _count(field: str, value: Any) -> Found:
    if isinstance(value, int) and value < 0:
        yield _bad(field, value, _NOT_NEGATIVE)


def _resources(field: str, resources: JsonObject) -> Found:
    limits = resources.get("limits") or {}
    for name, amount in limits.items():
        if parse_quantity(amount) < 0:
            yield _bad(f"{field}.limits[{name}]", str(amount), _NOT_NEGATIVE)
    for name, amount in (resources.get("requests") or {}).items():
        if parse_quantity(amount) < 0:
            yield _bad(f"{field}.requests[{name}]", str(amount), _NOT_NEGATIVE)
        if name in limits and parse_quantity(amount) > parse_quantity(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            yield _bad(f"{field}.requests", str(amount), why)


def _pod_spec(field: str, spec: JsonObject, restarts: list[str]) -> Found:
    containers = spec.get("containers") or []
    if not containers:
        yield _required(f"{field}.containers")
    names: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{field}.containers[{index}]"
        name = container.get("name") or ""
        if not name:
            yield _required(f"{here}.name")
        elif not _LABEL.match(name):
            yield _bad(f"{here}.name", name, _LABEL_TEXT)
        elif name in names:
            yield Cause(f"{here}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
        names.add(name)
        if not container.get("image"):
            yield _required(f"{here}.image")
        policy = container.get("imagePullPolicy")
        if policy not in ("Always", "IfNotPresent", "Never"):
            yield _unsupported(
                f"{here}.imagePullPolicy", str(policy), ["Always", "IfNotPresent", "Never"]
            )
        yield from _resources(f"{here}.resources", container.get("resources") or {})
    if spec.get("restartPolicy") not in restarts:
        yield _unsupported(f"{field}.restartPolicy", spec.get("restartPolicy", ""), restarts)
    yield from _count(
        f"{field}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds")
    )


def _workload(item: JsonObject) -> Found:
    spec = item["spec"]
    yield from _count("spec.replicas", spec.get("replicas"))
    yield from _count("spec.minReadySeconds", spec.get("minReadySeconds"))
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    if not selector:
        yield _required("spec.selector")
    elif not object_selector(selector)(labels):
        shown = f"map[string]string{_go_map(labels)}"
        yield Cause(
            "spec.template.metadata.labels",
            f"Invalid value: {shown}: `selector` does not match template `labels`",
        )
    yield from _labels("spec.template.labels", labels)
    yield from _pod_spec("spec.template.spec", template.get("spec") or {}, ["Always"])


def _go_map(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f"{quote(key)}:{quote(labels[key])}" for key in sorted(labels)) + "}"


def _go_selector(selector: JsonObject) -> str:
    labels = selector.get("matchLabels")
    shown = f"map[string]string{_go_map(labels)}" if labels else "map[string]string(nil)"
    rules = "[]v1.LabelSelectorRequirement"
    listed = [
        f"v1.LabelSelectorRequirement{{Key:{quote(rule['key'])}, Operator:{quote(rule['operator'])},"
        f" Values:[]string{{{', '.join(quote(value) for value in rule.get('values') or [])}}}}}"
        for rule in selector.get("matchExpressions") or []
    ]
    expressions = f"{rules}{{{', '.join(listed)}}}" if listed else f"{rules}(nil)"
    return f"v1.LabelSelector{{MatchLabels:{shown}, MatchExpressions:{expressions}}}"


def _deployment(item: JsonObject) -> Found:
    yield from _workload(item)
    strategy = item["spec"].get("strategy") or {}
    if strategy.get("type") not in ("Recreate", "RollingUpdate"):
        yield _unsupported(
            "spec.strategy.type", strategy.get("type", ""), ["Recreate", "RollingUpdate"]
        )
    yield from _count("spec.revisionHistoryLimit", item["spec"].get("revisionHistoryLimit"))
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate"):
        why = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        yield Cause("spec.strategy.rollingUpdate", why, "FieldValueForbidden")


def _selector_kept(item: JsonObject, before: JsonObject) -> Found:
    if item["spec"].get("selector") != before["spec"].get("selector"):
        shown = _go_selector(item["spec"].get("selector") or {})
        yield Cause("spec.selector", f"Invalid value: {shown}: {IMMUTABLE}")


def _job_template(field: str, spec: JsonObject) -> Found:
    for name in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds"):
        yield from _count(f"{field}.{name}", spec.get(name))
    pod = (spec.get("template") or {}).get("spec") or {}
    yield from _pod_spec(f"{field}.template.spec", pod, ["OnFailure", "Never"])


def _job(item: JsonObject) -> Found:
    yield from _job_template("spec", item["spec"])


def _job_kept(item: JsonObject, before: JsonObject) -> Found:
    for field in ("completions", "selector", "template"):
        if item["spec"].get(field) != before["spec"].get(field):
            yield _bad(f"spec.{field}", item["spec"].get(field), IMMUTABLE)


def _cron_job(item: JsonObject) -> Found:
    spec = item["spec"]
    schedule = spec.get("schedule") or ""
    if not schedule:
        yield _required("spec.schedule")
    else:
        try:
            parse_schedule(schedule)
        except ValueError as error:
            yield _bad("spec.schedule", schedule, str(error))
    if spec.get("concurrencyPolicy") not in ("Allow", "Forbid", "Replace"):
        yield _unsupported(
            "spec.concurrencyPolicy",
            str(spec.get("concurrencyPolicy")),
            ["Allow", "Forbid", "Replace"],
        )
    for name in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        yield from _count(f"spec.{name}", spec.get(name))
    yield from _job_template("spec.jobTemplate.spec", spec["jobTemplate"].get("spec") or {})


def _keys(item: JsonObject) -> Found:
    for field in ("data", "binaryData"):
        for key in item.get(field) or {}:
            if not _CONFIG_KEY.match(key):
                yield _bad(f"{field}[{key}]", key, _CONFIG_KEY_TEXT)


def _frozen(item: JsonObject, before: JsonObject) -> Found:
    if before.get("immutable"):
        for field in ("data", "binaryData"):
            if item.get(field) != before.get(field):
                why = "Forbidden: field is immutable when `immutable` is set"
                yield Cause(field, why, "FieldValueForbidden")


def _pod(item: JsonObject) -> Found:
    yield from _pod_spec("spec", item["spec"], ["Always", "OnFailure", "Never"])


def _pod_kept(item: JsonObject, before: JsonObject) -> Found:
    def fixed(pod: JsonObject) -> JsonObject:
        spec = {
            key: value
            for key, value in pod["spec"].items()
            if key not in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
        }
        spec["containers"] = [
            {key: value for key, value in container.items() if key != "image"}
            for container in spec.get("containers") or []
        ]
        return spec

    if fixed(item) != fixed(before):
        why = (
            "Forbidden: pod updates may not change fields other than "
            "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
            "`spec.tolerations` (only additions to existing tolerations),"
            "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
        )
        yield Cause("spec", why, "FieldValueForbidden")


def _role_ref_kept(item: JsonObject, before: JsonObject) -> Found:
    if item["roleRef"] != before["roleRef"]:
        yield Cause("roleRef", "Invalid value: cannot change roleRef")


_RULES: dict[str, Callable[[JsonObject], Found]] = {
    "Deployment": _deployment,
    "ReplicaSet": _workload,
    "StatefulSet": _workload,
    "DaemonSet": _workload,
    "Job": _job,
    "CronJob": _cron_job,
    "ConfigMap": _keys,
    "Secret": _keys,
    "Pod": _pod,
}
_CHANGES: dict[str, Callable[[JsonObject, JsonObject], Found]] = {
    "Deployment": _selector_kept,
    "ReplicaSet": _selector_kept,
    "StatefulSet": _selector_kept,
    "DaemonSet": _selector_kept,
    "Job": _job_kept,
    "ConfigMap": _frozen,
    "Secret": _frozen,
    "Pod": _pod_kept,
    "RoleBinding": _role_ref_kept,
    "ClusterRoleBinding": _role_ref_kept,
}
