"""kubernetes.get, list, logs and rollout_status; what a read-only client lets through; failures."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actions.kubernetes.changing import MERGE
from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.connection import KubernetesKind
from actions.kubernetes.guard import Allow
from actions.kubernetes.logs import KubernetesLogs, LogsParams
from actions.kubernetes.patch import KubernetesPatch, PatchParams
from actions.kubernetes.reads import GetParams, KubernetesGet, KubernetesList, ListParams
from actions.kubernetes.recent import KubernetesRecentChanges
from actions.kubernetes.rollouts import KubernetesRolloutStatus, StatusParams
from engine.contract import ActionFailed, Category, Opening, Target
from engine.domain.clock import ManualClock
from tests.contract.actions import kube_scene
from tests.contract.actions.kube_scene import NAMESPACE, Sight, in_process, over_http
from worlds.cluster import ADMIN, ADMIN_TOKEN, OPERATOR, Cluster, Fate, Fault, InProcess
from worlds.cluster.server import ClusterServer

GET, LIST, LOGS, STATUS = (
    KubernetesGet(),
    KubernetesList(),
    KubernetesLogs(),
    KubernetesRolloutStatus(),
)


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="module")
def cluster(clock: ManualClock) -> Cluster:
    return kube_scene.make_cluster(clock)


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[ClusterServer]:
    with ClusterServer(cluster) as server:
        yield server


@pytest.fixture
def sight(server: ClusterServer, clock: ManualClock) -> Sight:
    return over_http(server.url, ADMIN_TOKEN, clock)


def get(name: str, kind: str = "Deployment", **more: Any) -> GetParams:
    return GetParams(connection="cluster", namespace=NAMESPACE, kind=kind, name=name, **more)


# ---------------------------------------------------------------- reading


def test_get_returns_the_object_without_its_managed_fields(sight: Sight) -> None:
    answer = GET.read(get("etl-worker"), sight)
    assert answer["found"]
    assert answer["object"]["spec"]["replicas"] == 2
    assert "managedFields" not in answer["object"]["metadata"]


def test_get_of_a_secret_shows_its_keys_only(sight: Sight) -> None:
    answer = GET.read(get("keys", "Secret"), sight)
    assert answer["object"]["data"] == {"token": "(secret)"}
    assert "aHVudGVy" not in repr(answer)


def test_get_of_what_is_not_there(sight: Sight) -> None:
    assert GET.read(get("nope", optional=True), sight) == {"found": False, "object": None}
    with pytest.raises(ActionFailed, match=r'deployments\.apps "nope" not found') as caught:
        GET.read(get("nope"), sight)
    assert caught.value.category is Category.PERMANENT


def test_a_kind_that_no_cluster_has_needs_its_api_version(sight: Sight) -> None:
    with pytest.raises(ActionFailed, match="give its api_version"):
        GET.read(get("x", "Workflow"), sight)
    with pytest.raises(ActionFailed, match=r"/apis/argoproj.io/v1alpha1: 404"):
        GET.read(get("x", "Workflow", api_version="argoproj.io/v1alpha1"), sight)


def test_a_kind_is_found_by_discovery(sight: Sight) -> None:
    resource = sight.reader.kinds.discover("Deployment", "apps/v1")
    assert resource.path("a", "b") == "/apis/apps/v1/namespaces/a/deployments/b"


def listing(**more: Any) -> ListParams:
    return ListParams(**({"connection": "cluster", "namespace": NAMESPACE, "kind": "Pod"} | more))


def test_list_selects_by_labels_and_fields_and_says_when_there_are_more(sight: Sight) -> None:
    worker = LIST.read(listing(labels="app in (etl-worker)"), sight)
    assert worker["count"] == 2
    assert not worker["truncated"]
    assert {item["kind"] for item in worker["items"]} == {"Pod"}
    running = LIST.read(listing(fields="status.phase=Running"), sight)
    assert running["count"] == 4
    assert LIST.read(listing(fields="status.phase=Failed"), sight)["items"] == []
    some = LIST.read(listing(limit=3), sight)
    assert (some["count"], some["truncated"]) == (3, True)
    everywhere = LIST.read(listing(namespace=None), sight)
    assert everywhere["count"] == 4


def test_rollout_status_says_what_is_awaited(sight: Sight) -> None:
    params = StatusParams(connection="cluster", namespace=NAMESPACE, name="etl-worker")
    answer = STATUS.read(params, sight)
    assert answer == {
        "complete": True,
        "stuck": False,
        "reason": "",
        "desired": 2,
        "updated": 2,
        "ready": 2,
        "available": 2,
    }


# ---------------------------------------------------------------- logs


def logs(**more: Any) -> LogsParams:
    return LogsParams(**({"connection": "cluster", "namespace": NAMESPACE} | more))


def test_logs_of_all_pods_of_a_selector(cluster: Cluster, sight: Sight) -> None:
    names = LIST.read(listing(labels="app=etl-worker"), sight)["names"]
    for name in names:
        cluster.log(NAMESPACE, name, "first\nERROR out of memory\nlast")
    answer = LOGS.read(logs(labels="app=etl-worker", container="app"), sight)
    assert [entry["pod"] for entry in answer["logs"]] == names
    assert answer["count"] == 8  # the container's own first line and the three
    found = LOGS.read(logs(labels="app=etl-worker", pattern="ERROR|Killed"), sight)
    assert found["text"] == "ERROR out of memory\nERROR out of memory"
    last = LOGS.read(logs(pod=names[0], container="app", tail=1), sight)
    assert (last["text"], last["matched"], last["truncated"]) == ("last", True, False)


def test_logs_are_bounded_in_bytes(cluster: Cluster, sight: Sight) -> None:
    name = LIST.read(listing(labels="app=db"), sight)["names"][0]
    cluster.log(NAMESPACE, name, "x" * 5000)
    answer = LOGS.read(logs(pod=name, limit=1000), sight)
    assert answer["truncated"]
    assert len(answer["text"]) <= 1000


def test_logs_since(cluster: Cluster, clock: ManualClock, sight: Sight) -> None:
    name = LIST.read(listing(labels="app=db"), sight)["names"][1]
    cluster.log(NAMESPACE, name, "long ago")
    clock.advance(3600)
    cluster.log(NAMESPACE, name, "just now")
    assert LOGS.read(logs(pod=name, since=60.0), sight)["text"] == "just now"


def test_logs_of_the_run_before_a_restart() -> None:
    clock = ManualClock()
    cluster = kube_scene.make_cluster(clock)
    cluster.script("oomer", [Fate(exit_code=137, reason="OOMKilled", after=30, logs="Killed")])
    cluster.load([kube_scene.deployment("oomer", replicas=1)])
    clock.advance(50)
    sight = in_process(cluster)
    answer = LOGS.read(logs(labels="app=oomer", container="app", previous=True), sight)
    assert answer["text"].endswith("Killed")
    pod = LIST.read(listing(labels="app=oomer"), sight)["items"][0]
    state = pod["status"]["containerStatuses"][0]
    assert state["lastState"]["terminated"]["reason"] == "OOMKilled"


def test_logs_of_a_container_that_never_ran_are_an_error_of_that_container(sight: Sight) -> None:
    answer = LOGS.read(logs(labels="app=db", previous=True), sight)
    assert not answer["matched"]
    assert all("not found" in entry["error"] for entry in answer["logs"])
    with pytest.raises(ActionFailed, match="no container 'zzz'; there are: db"):
        LOGS.read(logs(labels="app=db", container="zzz"), sight)
    with pytest.raises(ActionFailed, match="no regular expression"):
        LOGS.read(logs(labels="app=db", pattern="("), sight)


def test_a_pod_that_goes_while_logs_are_read_hides_no_other() -> None:
    cluster = kube_scene.make_cluster(ManualClock())
    sight = in_process(cluster)
    first, *others = LIST.read(listing(labels="app=db"), sight)["names"]
    place = f"/api/v1/namespaces/{NAMESPACE}/pods/{first}"

    class Meanwhile(InProcess):
        """Somebody deletes the first pod just before its log is asked for."""

        def send(self, method: str, path: str, *args: Any, **more: Any) -> Any:
            if path == f"{place}/log":
                now = {"gracePeriodSeconds": 0}
                assert cluster.call("DELETE", place, body=now).status == 200
            return super().send(method, path, *args, **more)

    client = KubernetesClient(
        "cluster", Meanwhile(cluster, ADMIN), clock=cluster.clock, writable=False, allow=None
    )
    answer = LOGS.read(logs(labels="app=db"), Sight(client, client, cluster.clock))
    assert [bool(entry["lines"]) for entry in answer["logs"]] == [False, *(True for _ in others)]
    assert "not found" in answer["logs"][0]["error"]
    with pytest.raises(ActionFailed, match="not found"):
        LOGS.read(logs(pod=first), sight)


# ---------------------------------------------------------------- changes by others


def test_recent_changes_name_who_and_which_fields_and_no_values() -> None:
    clock = ManualClock()
    cluster = kube_scene.make_cluster(clock)
    clock.advance(8 * 86400)
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/batch"
    body = {"data": {"tuned": "a-value"}}
    for manager in ("helm", "stanch"):
        query = {"fieldManager": manager}
        answer = cluster.call("PATCH", path, query=query, body=body, content_type=MERGE)
        assert answer.status == 200
        body = {"data": {"ours": "b-value"}}
    action = KubernetesRecentChanges()
    given = {"connection": "cluster", "namespace": NAMESPACE}
    objects = [{"kind": "ConfigMap", "name": "batch"}, {"kind": "CronJob", "name": "scoring"}]
    params = action.Params.model_validate({**given, "objects": objects})
    seen: Any = action.read(params, in_process(cluster))
    assert [(one["object"], one["by"], one["fields"]) for one in seen["changes"]] == [
        ("ConfigMap/batch", "helm", "data.tuned")
    ]
    assert "a-value" not in repr(seen)
    longer = params.model_copy(update={"since": 10 * 86400.0})
    assert any(
        one["object"] == "CronJob/scoring"
        for one in action.read(longer, in_process(cluster))["changes"]
    )


# ---------------------------------------------------------------- read-only and allow-lists

DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/etl-worker"
POD = f"/api/v1/namespaces/{NAMESPACE}/pods/p"
WRITES: list[tuple[str, str, dict[str, str], Any]] = [
    ("PATCH", DEPLOYMENT, {}, {"spec": {"replicas": 0}}),
    ("PATCH", DEPLOYMENT, {"dryRun": "None"}, {"spec": {"replicas": 0}}),
    ("PUT", DEPLOYMENT, {}, {}),
    ("DELETE", DEPLOYMENT, {}, None),
    ("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods", {}, None),
    ("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", {}, {}),
    ("PATCH", f"{DEPLOYMENT}/scale", {}, {"spec": {"replicas": 0}}),
    ("PATCH", f"{DEPLOYMENT}/status", {"dryRun": "All"}, {}),
    ("POST", f"{POD}/eviction", {}, {}),
    ("POST", f"{POD}/eviction", {}, {"deleteOptions": {"dryRun": []}}),
    ("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/a/token", {"dryRun": "All"}, {}),
    ("POST", f"{POD}/exec", {"dryRun": "All", "command": "rm"}, None),
    ("GET", f"{POD}/exec", {"command": "rm"}, None),
    ("GET", f"{POD}/attach", {}, None),
    ("GET", f"{POD}/proxy/shutdown", {}, None),
    ("GET", "/api/v1/nodes/n/proxy/run", {}, None),
    ("POST", f"{POD}/portforward", {}, None),
    ("POST", "/logs/x", {}, None),
]


@pytest.mark.parametrize(("method", "path", "query", "body"), WRITES)
def test_a_read_only_client_sends_no_write(
    cluster: Cluster, sight: Sight, method: str, path: str, query: dict[str, str], body: Any
) -> None:
    count = len(cluster.requests.entries)
    with pytest.raises(ActionFailed, match="not sent") as caught:
        sight.reader.request(method, path, query, body)
    assert caught.value.category is Category.CONFIGURATION
    assert not caught.value.effect_possible
    assert len(cluster.requests.entries) == count


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward", "proxy/x"])
def test_no_client_runs_commands_or_opens_tunnels(
    cluster: Cluster, sight: Sight, subresource: str
) -> None:
    count = len(cluster.requests.entries)
    with pytest.raises(ActionFailed, match="never allowed"):
        sight.writer.request("POST", f"{POD}/{subresource}")
    assert len(cluster.requests.entries) == count


def test_a_read_only_client_asks_for_dry_runs_and_rights(cluster: Cluster, sight: Sight) -> None:
    pod = LIST.read(listing(labels="app=db"), sight)["names"][0]
    writes = len(cluster.requests.writes)
    eviction = {"deleteOptions": {"dryRun": ["All"]}, "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}"
    sight.reader.request("POST", f"{path}/eviction", {}, eviction)
    sight.reader.request("DELETE", path, {"dryRun": "All"})
    resource = sight.reader.resource("Deployment")
    assert sight.reader.may("patch", resource, NAMESPACE)
    assert len(cluster.requests.writes) == writes


def test_the_allow_list_holds_for_every_request(server: ClusterServer, clock: ManualClock) -> None:
    allow = {"namespaces": ["star*"], "kinds": ["Deployment", "Pod"]}
    narrow = over_http(server.url, ADMIN_TOKEN, clock, allow=allow)
    assert GET.read(get("etl-worker"), narrow)["found"]
    with pytest.raises(ActionFailed, match=r"kind Secret is not in the connection's allow\.kinds"):
        GET.read(get("keys", "Secret"), narrow)
    params = GetParams(connection="cluster", namespace="kube-system", kind="Pod", name="x")
    with pytest.raises(ActionFailed, match="namespace kube-system is not in"):
        GET.read(params, narrow)
    with pytest.raises(ActionFailed, match=r"namespace \(all namespaces\) is not in"):
        LIST.read(listing(namespace=None), narrow)
    with pytest.raises(ActionFailed, match="namespace other is not in"):
        narrow.writer.request("DELETE", "/apis/apps/v1/namespaces/other/deployments/x")


def test_the_kind_refuses_targets_by_the_same_list() -> None:
    kind = KubernetesKind()
    given = {"namespaces": ["starforge"], "kinds": ["Deployment", "Node", "Namespace"]}
    settings = kind.Settings.model_validate({"allow": given})

    def refuses(path: str) -> str | None:
        return kind.refuses(settings, Target("cluster", path))

    assert refuses("starforge/Deployment/x") is None
    assert refuses("/Node/x") is None
    assert refuses("/Namespace/starforge") is None
    assert "namespace other" in (refuses("other/Deployment/x") or "")
    assert "namespace other" in (refuses("/Namespace/other") or "")
    assert "kind Secret" in (refuses("starforge/Secret/x") or "")
    assert "all namespaces" in (refuses("*/Deployment/*") or "")


# ---------------------------------------------------------------- failures


def failing(sight: Sight, **params: Any) -> ActionFailed:
    with pytest.raises(ActionFailed) as caught:
        GET.read(get("etl-worker", **params), sight)
    return caught.value


def test_a_wrong_token_is_a_matter_of_configuration(
    server: ClusterServer, clock: ManualClock
) -> None:
    error = failing(over_http(server.url, "no-such-token-1", clock))
    assert error.category is Category.CONFIGURATION
    assert "the token or certificate is not accepted" in str(error)
    assert "no-such-token-1" not in str(error)


def test_a_missing_right_is_a_matter_of_configuration(cluster: Cluster) -> None:
    error = failing(in_process(cluster, OPERATOR))
    assert error.category is Category.CONFIGURATION
    assert 'User "operator" cannot get resource "deployments"' in str(error)
    assert "stanch grants" in str(error)


@pytest.mark.parametrize(
    ("code", "category", "possible"),
    [
        (429, Category.RATE_LIMIT, False),
        (500, Category.TRANSIENT, True),
        (503, Category.TRANSIENT, True),
        (410, Category.PERMANENT, False),
        (400, Category.PERMANENT, False),
    ],
)
def test_answers_are_classified(
    cluster: Cluster, sight: Sight, code: int, category: Category, possible: bool
) -> None:
    cluster.faults.add(Fault("status", code=code, retry_after=7, method="PATCH"))
    with pytest.raises(ActionFailed) as caught:
        sight.writer.patch(DEPLOYMENT, {"spec": {}}, "application/merge-patch+json")
    error = caught.value
    assert (error.category, error.retry_after, error.effect_possible) == (category, 7.0, possible)


def test_nobody_listens(clock: ManualClock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sight = over_http(f"http://127.0.0.1:{port}", "t", clock)
    error = failing(sight)
    assert error.category is Category.TRANSIENT
    with pytest.raises(ActionFailed) as caught:
        sight.writer.patch(DEPLOYMENT, {}, "application/merge-patch+json")
    assert not caught.value.effect_possible


def test_an_answer_that_does_not_come_times_out(clock: ManualClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sight = over_http(url, "t", clock, timeout=0.2)
        with pytest.raises(ActionFailed) as caught:
            sight.writer.patch(DEPLOYMENT, {}, "application/merge-patch+json")
    assert caught.value.category is Category.TRANSIENT
    assert caught.value.effect_possible


def test_a_read_is_not_tried_again_by_the_client(cluster: Cluster, sight: Sight) -> None:
    count = len(cluster.requests.entries)
    cluster.faults.add(Fault("reset", method="GET"))
    assert failing(sight).category is Category.TRANSIENT
    assert len(cluster.requests.entries) == count + 1


def test_a_refusal_about_a_secret_says_nothing_of_it(sight: Sight) -> None:
    params = PatchParams(
        connection="cluster",
        namespace=NAMESPACE,
        kind="Secret",
        name="keys",
        patch={"data": {"bad key!": "c2VjcmV0"}},
    )
    with pytest.raises(ActionFailed) as caught:
        KubernetesPatch().plan(params, sight.reading())
    assert "Invalid" in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_a_kubeconfig_that_is_missing_is_a_matter_of_configuration(tmp_path: Path) -> None:
    kind = KubernetesKind()
    settings = kind.Settings.model_validate({"kubeconfig": tmp_path / "none", "context": "prod"})
    with pytest.raises(ActionFailed, match="cannot be configured") as caught:
        kind.open(Opening("cluster", settings, False, ManualClock(), str))
    assert caught.value.category is Category.CONFIGURATION


def test_settings_name_one_way_in() -> None:
    kind = KubernetesKind()
    with pytest.raises(ValueError, match="one of them"):
        kind.Settings.model_validate({"in_cluster": True, "server": "https://a"})
    with pytest.raises(ValueError, match="go with server"):
        kind.Settings.model_validate({"insecure": True})


def test_doctor_learns_the_version(sight: Sight) -> None:
    assert KubernetesKind().check(sight.reader) == {"version": "v1.32.13"}


def test_an_allow_list_of_nothing_allows_nothing() -> None:
    cluster = Cluster(ManualClock())
    narrow = in_process(cluster, allow=Allow(namespaces=[]))
    with pytest.raises(ActionFailed, match=r"allow.namespaces: \(none\)"):
        GET.read(get("x"), narrow)
