"""The API: what is refused and how, versions, lists, watches, rights, and whom it tells what."""

from __future__ import annotations

import json
import threading
from itertools import islice
from typing import Any

import pytest

from tests.unit.worlds.cluster.scene import MERGE, NS, STRATEGIC, Town, cron_job, deployment
from worlds.cluster import OPERATOR, Fault
from worlds.cluster.server import ClusterServer

APPLY = "application/apply-patch+yaml"
CONFIG = f"/api/v1/namespaces/{NS}/configmaps"


def config_map(name: str, **data: str) -> Any:
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": NS}, "data": data}


# ---------------------------------------------------------------- writes and versions


def test_a_dry_run_of_every_write_changes_nothing() -> None:
    town = Town(config_map("a", k="1"))
    version = town.cluster.store.version
    for method, path, body, kind in [
        ("POST", CONFIG, config_map("b"), "application/json"),
        ("PUT", f"{CONFIG}/a", config_map("a", k="2"), "application/json"),
        ("PATCH", f"{CONFIG}/a", {"data": {"k": "2"}}, MERGE),
        ("DELETE", f"{CONFIG}/a", None, "application/json"),
        ("DELETE", CONFIG, None, "application/json"),
    ]:
        status, _ = town.ask(method, path, body, kind, dryRun="All")
        assert status in (200, 201)
        assert town.cluster.store.version == version
    status, answer = town.ask("POST", CONFIG, config_map("b"), dryRun="Some")
    assert (status, answer["reason"]) == (422, "Invalid")


def test_a_write_that_changes_nothing_keeps_the_version() -> None:
    town = Town(config_map("a", k="1"))
    before = town.get("ConfigMap", "a")["metadata"]["resourceVersion"]
    _, answer = town.ask("PATCH", f"{CONFIG}/a", {"data": {"k": "1"}}, MERGE)
    assert answer["metadata"]["resourceVersion"] == before


def test_writes_under_an_old_version_conflict() -> None:
    town = Town(config_map("a", k="1"))
    old = town.get("ConfigMap", "a")
    town.ask("PATCH", f"{CONFIG}/a", {"data": {"k": "2"}}, MERGE)
    status, answer = town.ask("PUT", f"{CONFIG}/a", old)
    assert (status, answer["reason"]) == (409, "Conflict")
    options = {"preconditions": {"resourceVersion": old["metadata"]["resourceVersion"]}}
    assert town.ask("DELETE", f"{CONFIG}/a", options)[0] == 409
    assert town.ask("DELETE", f"{CONFIG}/a", {"preconditions": {"uid": "x"}})[0] == 409


@pytest.mark.parametrize(
    ("patch", "rises"),
    [
        ({"spec": {"replicas": 5}}, True),
        ({"metadata": {"annotations": {"a": "b"}}}, True),  # they reach the replica sets
        ({"metadata": {"labels": {"a": "b"}}}, False),
        ({"status": {"replicas": 9}}, False),
    ],
)
def test_generation_rises_with_what_is_wanted(patch: Any, rises: bool) -> None:
    town = Town(deployment())
    _, answer = town.ask("PATCH", town.path("Deployment", "d"), patch, MERGE)
    assert answer["metadata"]["generation"] == (2 if rises else 1)
    assert answer["status"].get("replicas") != 9


def test_unknown_fields_are_dropped_with_a_warning_or_refused() -> None:
    town = Town(deployment())
    path = town.path("Deployment", "d")
    body = {"spec": {"replicaz": 1}}
    response = town.cluster.call("PATCH", path, body=body, content_type=MERGE)
    assert response.status == 200
    assert response.headers["Warning"] == '299 - "unknown field \\"spec.replicaz\\""'
    assert "replicaz" not in response.json()["spec"]
    new = deployment("e", template={"metadata": {"labels": {"app": "e"}}, "spec": {"zz": 1}})
    status, answer = town.ask("POST", town.path("Deployment"), new, fieldValidation="Strict")
    assert status == 400
    assert 'unknown field "spec.template.spec.zz"' in answer["message"]


def test_types_are_checked_as_the_server_words_it() -> None:
    town = Town(deployment())
    status, answer = town.ask("POST", town.path("Deployment"), deployment("e", replicas="x"))  # type: ignore[arg-type]
    assert status == 400
    assert answer["message"].endswith(
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    )
    path = town.path("Deployment", "d")
    status, answer = town.ask("PATCH", path, {"spec": {"replicas": "x"}}, STRATEGIC)
    assert status == 422
    assert answer["message"].endswith("unrecognized type: int32")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"concurrencyPolicy": "Never"}, 'supported values: "Allow", "Forbid", "Replace"'),
        ({"schedule": "61 * * * *"}, "end of range (61) above maximum (59): 61"),
        ({"failedJobsHistoryLimit": -1}, "must be greater than or equal to 0"),
    ],
)
def test_cron_jobs_are_validated(spec: Any, message: str) -> None:
    town = Town(cron_job("c", "0 * * * *"))
    status, answer = town.ask("PATCH", town.path("CronJob", "c"), {"spec": spec}, MERGE)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert message in answer["message"]


def test_names_and_namespaces_are_checked() -> None:
    town = Town(config_map("a"))
    assert town.ask("POST", CONFIG, {"metadata": {"name": "Bad_Name"}})[0] == 422
    assert town.ask("POST", CONFIG, {"metadata": {"name": "x", "namespace": "y"}})[0] == 400
    status, answer = town.ask(
        "POST", "/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "x"}}
    )
    assert (status, answer["message"]) == (404, 'namespaces "nowhere" not found')
    status, answer = town.ask("POST", CONFIG, {"metadata": {"generateName": "x-"}})
    assert status == 201
    assert answer["metadata"]["name"].startswith("x-")


def test_an_immutable_config_map_stays() -> None:
    town = Town({**config_map("a", k="1"), "immutable": True})
    status, answer = town.ask("PATCH", f"{CONFIG}/a", {"data": {"k": "2"}}, MERGE)
    assert status == 422
    assert "field is immutable when `immutable` is set" in answer["message"]


def test_managed_fields_say_who_set_what() -> None:
    town = Town(config_map("a", k="1"))
    town.ask("PATCH", f"{CONFIG}/a", {"data": {"k": "2", "l": "3"}}, MERGE, fieldManager="me")
    owners = {
        entry["manager"]: entry["fieldsV1"]
        for entry in town.get("ConfigMap", "a")["metadata"]["managedFields"]
    }
    assert owners == {"me": {"f:data": {"f:k": {}, "f:l": {}}}}


def test_server_side_apply_owns_what_it_applied() -> None:
    town = Town(config_map("a", k="1"))
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "1", "mine": "x"}}
    assert town.ask("PATCH", f"{CONFIG}/a", config, APPLY, fieldManager="me")[0] == 200
    config["data"] = {"k": "2"}
    status, answer = town.ask("PATCH", f"{CONFIG}/a", config, APPLY, fieldManager="me")
    assert (status, answer["details"]["causes"][0]["field"]) == (409, ".data.k")
    path = f"{CONFIG}/a"
    assert town.ask("PATCH", path, config, APPLY, fieldManager="me", force="true")[0] == 200
    assert town.get("ConfigMap", "a")["data"] == {"k": "2"}


# ---------------------------------------------------------------- lists and watches


def test_pages_cover_everything_once() -> None:
    town = Town(*(config_map(f"c{number:02}") for number in range(7)))
    names: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = town.cluster.call("GET", CONFIG, query=query).json()
        names += [item["metadata"]["name"] for item in page["items"]]
        if "continue" not in page["metadata"]:
            break
        query["continue"] = page["metadata"]["continue"]
    assert names == sorted(names)
    assert len(set(names)) == 7
    assert town.cluster.call("GET", CONFIG, query={"continue": "%%%"}).status == 400


def watch_lines(town: Town, count: int, **query: Any) -> list[tuple[str, str]]:
    response = town.cluster.call("GET", CONFIG, query={"watch": "true", **query})
    assert response.stream is not None
    lines = [json.loads(line) for line in islice(response.stream, count)]
    return [(line["type"], line["object"]["metadata"].get("name", "")) for line in lines]


def test_a_watch_shows_what_is_there_and_then_what_changes() -> None:
    town = Town(config_map("a"))
    version = town.ask("GET", CONFIG)[1]["metadata"]["resourceVersion"]
    assert watch_lines(town, 1) == [("ADDED", "a")]
    town.ask("PATCH", f"{CONFIG}/a", {"metadata": {"labels": {"x": "1"}}}, MERGE)
    town.ask("PATCH", f"{CONFIG}/a", {"data": {"k": "1"}}, MERGE)
    town.ask("PATCH", f"{CONFIG}/a", {"metadata": {"labels": {"x": None}}}, MERGE)
    town.ask("DELETE", f"{CONFIG}/a")
    assert watch_lines(town, 4, resourceVersion=version) == [
        ("MODIFIED", "a"),
        ("MODIFIED", "a"),
        ("MODIFIED", "a"),
        ("DELETED", "a"),
    ]
    # An object that begins or ends to be selected is ADDED or DELETED for that watcher.
    selected = watch_lines(town, 3, resourceVersion=version, labelSelector="x=1")
    assert selected == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_watch_hears_of_changes_while_it_waits() -> None:
    town = Town(config_map("a"))
    version = town.ask("GET", CONFIG)[1]["metadata"]["resourceVersion"]
    heard: list[tuple[str, str]] = []
    thread = threading.Thread(
        target=lambda: heard.extend(watch_lines(town, 1, resourceVersion=version)), daemon=True
    )
    thread.start()
    town.ask("POST", CONFIG, config_map("b"))
    thread.join(5)
    assert heard == [("ADDED", "b")]


def test_a_watch_ends_with_its_time() -> None:
    town = Town(config_map("a"))
    version = town.cluster.store.version
    assert watch_lines(town, 5, resourceVersion=version, timeoutSeconds=1) == []


def test_a_watch_over_http_comes_event_by_event() -> None:
    from kubernetes import client

    town = Town(config_map("a"))
    seen = []
    with ClusterServer(town.cluster) as server:
        rest = client.ApiClient(client.Configuration()).rest_client
        headers = {"Authorization": "Bearer admin-token"}
        url = f"{server.url}{CONFIG}?watch=true&timeoutSeconds=30"
        answer = rest.request("GET", url, headers=headers, _request_timeout=10)  # type: ignore[no-untyped-call]
        response = answer.response
        for chunk in response.stream(amt=None, decode_content=False):
            event = json.loads(chunk)
            seen.append((event["type"], event["object"]["metadata"]["name"]))
            if len(seen) == 2:
                break
            town.ask("POST", CONFIG, config_map("b"))
        response.close()
    assert seen == [("ADDED", "a"), ("ADDED", "b")]


# ---------------------------------------------------------------- rights and the carrier


def bind(town: Town, rules: Any, *, cluster: bool = False) -> None:
    group = "rbac.authorization.k8s.io"
    home = {} if cluster else {"namespace": NS}
    prefix = "Cluster" if cluster else ""
    subject = {"kind": "User", "name": "operator", "apiGroup": group}
    town.cluster.load(
        [
            {"kind": f"{prefix}Role", "metadata": {"name": "r", **home}, "rules": rules},
            {
                "kind": f"{prefix}RoleBinding",
                "metadata": {"name": "b", **home},
                "roleRef": {"apiGroup": group, "kind": f"{prefix}Role", "name": "r"},
                "subjects": [subject],
            },
        ]
    )


def test_a_role_allows_in_its_namespace_only() -> None:
    town = Town(config_map("a"))
    bind(town, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}])
    assert town.ask("GET", f"{CONFIG}/a", user=OPERATOR)[0] == 200
    assert town.ask("GET", "/api/v1/configmaps", user=OPERATOR)[0] == 403
    status, answer = town.ask("DELETE", f"{CONFIG}/a", user=OPERATOR)
    assert status == 403
    assert 'User "operator" cannot delete resource "configmaps"' in answer["message"]


def test_a_cluster_role_allows_everywhere() -> None:
    town = Town(config_map("a"))
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]
    bind(town, rules, cluster=True)
    assert town.ask("GET", "/api/v1/configmaps", user=OPERATOR)[0] == 200


def test_an_access_review_says_which_binding_allows() -> None:
    town = Town(deployment())
    rule = {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]}
    bind(town, [rule])
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {"namespace": NS, "verb": "patch", "group": "apps", "resource": "deployments"}

    def review(**more: str) -> Any:
        body = {"spec": {"resourceAttributes": attributes | more}}
        return town.ask("POST", path, body, user=OPERATOR)[1]["status"]

    assert review() == {"allowed": False}
    allowed = review(subresource="scale")
    assert allowed["allowed"]
    assert 'RoleBinding "b/ns" of Role "r" to User "operator"' in allowed["reason"]


def test_paths_and_methods_that_are_not_served() -> None:
    town = Town(config_map("a"))
    assert town.ask("GET", "/apis/x/v1/things")[0] == 404
    assert town.ask("GET", f"{CONFIG}/a/scale")[0] == 404
    assert town.ask("POST", "/api/v1/configmaps", config_map("b"))[0] == 405
    assert town.ask("POST", f"/api/v1/namespaces/{NS}/pods/p/attach")[0] == 404
    assert town.ask("POST", f"/api/v1/namespaces/{NS}/pods/p/exec")[0] == 400  # no upgrade


def test_every_request_is_logged_and_whether_it_wrote() -> None:
    town = Town(config_map("a"))
    town.ask("GET", f"{CONFIG}/a")
    town.ask("PATCH", f"{CONFIG}/a", {"data": {"k": "1"}}, MERGE, dryRun="All")
    town.ask("PATCH", f"{CONFIG}/a", {"data": {"k": "1"}}, MERGE)
    entries = town.cluster.requests.entries
    assert [entry.wrote for entry in entries] == [False, False, True]
    assert [entry.dry_run for entry in entries] == [False, True, False]
    assert entries[2].body == '{"data": {"k": "1"}}'
    assert entries[1].body_digest == entries[2].body_digest
    assert [entry.method for entry in town.cluster.requests.writes] == ["PATCH"]


def test_faults_hit_as_often_as_they_say() -> None:
    town = Town(config_map("a"))
    fault = Fault("status", path="/configmaps/a$", skip=1, times=2, code=503, retry_after=3)
    town.cluster.faults.add(fault)
    codes = [town.ask("GET", f"{CONFIG}/a")[0] for _ in range(4)]
    assert codes == [200, 503, 503, 200]
    town.cluster.faults.add(Fault("delay", seconds=10))
    before = town.clock.now()
    town.ask("GET", f"{CONFIG}/a")
    assert (town.clock.now() - before).total_seconds() == 10
