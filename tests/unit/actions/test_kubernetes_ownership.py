"""Who changed an object last, by its managedFields."""

from __future__ import annotations

from actions.kubernetes.ownership import others_changes
from engine.domain.canonical import JsonObject
from engine.domain.clock import parse_time

FIELDS: JsonObject = {
    "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{}": {}}}}}
}


def entry(manager: str, time: str | None, **more: object) -> dict[str, object]:
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": FIELDS, **more}


def test_others_are_told_newest_first_with_the_fields_they_set() -> None:
    live = {
        "metadata": {
            "managedFields": [
                entry("helm", "2026-01-01T00:00:00Z"),
                entry("kubectl-edit", "2026-01-01T01:00:00Z"),
                entry("stanch", "2026-01-01T02:00:00Z"),
                entry("kube-controller-manager", "2026-01-01T03:00:00Z", subresource="status"),
                entry("broken", None),
                entry("empty", "2026-01-01T03:00:00Z", fieldsV1={"f:status": {"f:x": {}}}),
            ]
        }
    }
    found = others_changes(live)
    assert [change.by for change in found] == ["kubectl-edit", "helm"]
    assert found[0].at == parse_time("2026-01-01T01:00:00Z")
    assert found[0].what == "spec.replicas, spec.template.spec.containers"


def test_an_object_without_managed_fields_tells_nothing() -> None:
    assert others_changes({"metadata": {}}) == ()
    assert others_changes({}) == ()
