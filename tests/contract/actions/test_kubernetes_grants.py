"""The rights that each Kubernetes action names are enough, and none of them is one too many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.kubernetes.guard import Allow
from engine.contract import ActionFailed, Applied, Category, Grant, NotYet
from tests.contract.actions.cases import ChangeCase, ReadCase, changes, reads
from tests.contract.actions.cases_kubernetes import make_job
from tests.contract.actions.kube_scene import NAMESPACE, Sight, in_process
from worlds.cluster import Cluster, User

CASES = {
    label: build
    for label, build in (changes() | reads()).items()
    if label.startswith("kubernetes.")
}
ALLOW = Allow(commands=["echo ..."])
ROBOT = User("robot")
SPARE = {("pods/exec", "create")}  # what newer servers than the in-memory one ask for


def rules(grants: list[Grant], without: tuple[str, str] | None = None) -> list[Mapping[str, Any]]:
    """Return RBAC rules of one right each; `without` is a (resource, verb) left out."""
    return [
        {
            "apiGroups": [each.detail["group"]],
            "resources": [each.detail["resource"]],
            "verbs": [verb],
        }
        for each in grants
        for verb in each.detail["verbs"]
        if (each.detail["resource"], verb) != without
    ]


def restart(cluster: Cluster) -> None:
    """Begin a rollout, so that there is something to wait for."""
    body = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker"
    form = "application/strategic-merge-patch+json"
    assert cluster.call("PATCH", path, body=body, content_type=form).status == 200


def run_again(cluster: Cluster) -> None:
    """Make the job anew, which is then to be waited for."""
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/by-hand"
    assert cluster.call("DELETE", path, query={"propagationPolicy": "Background"}).status == 200
    cluster.run()
    make_job("by-hand")(cluster)


GOING = {"kubernetes.rollout_wait": restart, "kubernetes.job_wait": run_again}


def bind(cluster: Cluster, granted: list[Mapping[str, Any]]) -> None:
    cluster.load(
        [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": "robot", "namespace": NAMESPACE},
                "rules": granted,
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "robot", "namespace": NAMESPACE},
                "subjects": [{"kind": "User", "name": ROBOT.name}],
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Role",
                    "name": "robot",
                },
            },
        ]
    )


def carry_out(case: Any, sight: Sight) -> None:
    """Do with the action all that the engine would, its undo included."""
    params = case.action.Params.model_validate(case.params)
    if isinstance(case, ReadCase):
        case.check(case.action.read(params, sight.reading()))
        return
    assert isinstance(case, ChangeCase)
    planned = case.action.plan(params, sight.reading())
    receipt = case.action.apply(planned, sight.writing(), "key-1")
    found = case.action.confirm(planned, receipt, sight.reading(), "key-1")
    assert isinstance(found, Applied | NotYet)
    if planned.reversible:
        case.action.undo(planned, receipt, sight.writing(), "undo-1")


def built(request: pytest.FixtureRequest, label: str) -> Any:
    case = CASES[label](request)
    GOING.get(label, lambda _: None)(case.world)
    return case


@pytest.mark.parametrize("label", CASES)
def test_the_named_rights_are_enough_and_each_is_needed(
    request: pytest.FixtureRequest, label: str
) -> None:
    case = built(request, label)
    grants = list(case.action.grants(case.action.Params.model_validate(case.params)))
    named = [(each.detail["resource"], verb) for each in grants for verb in each.detail["verbs"]]
    needed = [right for right in named if right not in SPARE]
    cluster: Cluster = case.world
    if label == "kubernetes.can_i":
        assert named == []  # everybody may ask about themselves
        sight = in_process(cluster, ROBOT, ALLOW)
        answer: Any = case.action.read(
            case.action.Params.model_validate(case.params), sight.reading()
        )
        assert answer["allowed"] is False
        return
    bind(cluster, rules(grants))
    carry_out(case, in_process(cluster, ROBOT, ALLOW))
    for without in needed:
        other = built(request, label)
        bind(other.world, rules(grants, without))
        with pytest.raises(ActionFailed) as caught:
            carry_out(other, in_process(other.world, ROBOT, ALLOW))
        assert caught.value.category is Category.CONFIGURATION, without
        assert "stanch grants" in str(caught.value)
