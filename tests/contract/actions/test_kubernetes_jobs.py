"""Jobs, pods and secrets: what the contract suite does not ask of their actions."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from actions.kubernetes.access import KubernetesCanI
from actions.kubernetes.cleaning import KubernetesJobsClean
from actions.kubernetes.cronjobs import KubernetesCronJobSet
from actions.kubernetes.debugging import KubernetesDebugPod
from actions.kubernetes.jobhistory import KubernetesCronJobHistory
from actions.kubernetes.jobs import KubernetesJobFromCronJob
from actions.kubernetes.making import name_of
from actions.kubernetes.removing import KubernetesDeletePod, KubernetesEvict
from actions.kubernetes.secrets import KubernetesSecretCheck, KubernetesSecretSet, problem_of
from actions.kubernetes.workloads import KubernetesSetImage
from engine.contract import ActionFailed, Applied, Category, NotApplied, NotYet, Planned, Wrong
from engine.domain.clock import ManualClock
from tests.contract.actions import kube_scene
from tests.contract.actions.cases_kubernetes import make_job, make_pod
from tests.contract.actions.kube_scene import NAMESPACE, Sight, in_process
from worlds.cluster import Cluster, Fate, Fault, User

JOB, CLEAN = KubernetesJobFromCronJob(), KubernetesJobsClean()
DELETE, EVICT = KubernetesDeletePod(), KubernetesEvict()
CHECK, SET = KubernetesSecretCheck(), KubernetesSecretSet()


@pytest.fixture
def cluster() -> Cluster:
    return kube_scene.make_cluster(ManualClock())


@pytest.fixture
def sight(cluster: Cluster) -> Sight:
    return in_process(cluster)


def params(action: Any, **given: Any) -> Any:
    whole = {"connection": "cluster", "namespace": NAMESPACE, **given}
    return action.Params.model_validate(whole)


def plan(action: Any, sight: Sight, earlier: tuple[Planned, ...] = (), **given: Any) -> Planned:
    planned: Planned = action.plan(params(action, **given), sight.reading(earlier))
    return planned


def later(cluster: Cluster, seconds: float) -> None:
    cluster.clock.sleep(seconds)
    cluster.run()


# ---------------------------------------------------------------- jobs


def test_a_job_is_made_as_the_runs_earlier_changes_leave_the_cronjob(
    cluster: Cluster, sight: Sight
) -> None:
    change = KubernetesCronJobSet()
    less = plan(change, sight, name="scoring", env={"REPOS": "10"}, backoff_limit=1)
    planned = plan(JOB, sight, (less,), name="scoring", env={"MODE": "once"})
    change.apply(less, sight.writing(), "k1")
    name = JOB.apply(planned, sight.writing(), "k2").output["name"]
    made = cluster.object("Job", NAMESPACE, name)
    assert made["spec"]["backoffLimit"] == 1
    assert made["spec"]["template"]["spec"]["containers"][0]["env"] == [
        {"name": "REPOS", "value": "10"},
        {"name": "MODE", "value": "once"},
    ]
    assert made["metadata"]["labels"]["stanch.dev/cronjob"] == "scoring"
    assert "ownerReferences" not in made["metadata"]


def test_two_steps_make_two_jobs_and_a_foreign_one_is_nobodys(
    cluster: Cluster, sight: Sight
) -> None:
    planned = plan(JOB, sight, name="paused")
    first = JOB.apply(planned, sight.writing(), "k1").output["name"]
    second = JOB.apply(planned, sight.writing(), "k2").output["name"]
    assert first != second
    make_job(name_of("paused", "k3"))(cluster)
    with pytest.raises(ActionFailed, match="this step did not make") as caught:
        JOB.apply(planned, sight.writing(), "k3")
    assert caught.value.category is Category.DATA
    assert isinstance(JOB.confirm(planned, None, sight.reading(), "k3"), Wrong)
    assert JOB.confirm(planned, None, sight.reading(), "k4") == NotApplied()


def test_a_lost_answer_makes_no_second_job(cluster: Cluster, sight: Sight) -> None:
    planned = plan(JOB, sight, name="paused")
    cluster.faults.add(Fault(does="reset_after", method="POST", path="/jobs$"))
    with pytest.raises(ActionFailed) as caught:
        JOB.apply(planned, sight.writing(), "k")
    assert caught.value.effect_possible
    assert isinstance(JOB.confirm(planned, None, sight.reading(), "k"), Applied)
    JOB.apply(planned, sight.writing(), "k")
    assert len(cluster.objects("Job", NAMESPACE)) == 1


def test_a_debug_pod_runs_its_command_and_can_be_waited_for(cluster: Cluster, sight: Sight) -> None:
    action = KubernetesDebugPod()
    given = {"image": "registry.invalid/psql:1", "command": ["pg_isready"], "secrets": ["keys"]}
    planned = plan(action, sight, (), **given)
    receipt = action.apply(planned, sight.writing(), "k")
    assert isinstance(action.confirm(planned, receipt, sight.reading(), "k"), NotYet)
    later(cluster, 30)
    assert action.confirm(planned, receipt, sight.reading(), "k") == Applied(receipt)
    spec = cluster.object("Pod", NAMESPACE, receipt.output["name"])["spec"]
    assert spec["activeDeadlineSeconds"] == 3600
    assert spec["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]
    action.undo(planned, receipt, sight.writing(), "u")
    names = [pod["metadata"]["name"] for pod in cluster.objects("Pod", NAMESPACE)]
    assert receipt.output["name"] not in names


def test_a_debug_pod_is_given_one_key_of_a_secret(cluster: Cluster, sight: Sight) -> None:
    action = KubernetesDebugPod()
    of = {"DATABASE_URL": {"secret": "keys", "key": "token"}}
    planned = plan(action, sight, image="i:1", command=["psql", "$(DATABASE_URL)"], secret_env=of)
    name = action.apply(planned, sight.writing(), "k").output["name"]
    [container] = cluster.object("Pod", NAMESPACE, name)["spec"]["containers"]
    assert container["env"] == [
        {
            "name": "DATABASE_URL",
            "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}},
        }
    ]
    assert "hunter2" not in str(planned)


def test_a_job_name_is_a_name() -> None:
    assert len(name_of("x" * 52, "k")) == 52
    assert name_of("a" * 40 + "-.b", "k").startswith("a" * 40 + "-")
    assert name_of("a", "k") == name_of("a", "k") != name_of("a", "l")


def test_only_finished_jobs_that_are_asked_for_are_cleaned(cluster: Cluster, sight: Sight) -> None:
    cluster.script("runs", [Fate(exit_code=0, after=7200)])
    for name, code in (("bad-1", 1), ("bad-2", 1), ("good", 0), ("runs", 0)):
        make_job(name, code)(cluster)
    later(cluster, 60)
    assert set(plan(CLEAN, sight).before) == {"Job/bad-1", "Job/bad-2"}
    assert set(plan(CLEAN, sight, condition="Complete").before) == {"Job/good"}
    assert plan(CLEAN, sight, condition="any", older_than="1h").is_no_op
    assert plan(CLEAN, sight, cronjob="scoring").is_no_op
    one = plan(CLEAN, sight, limit=1)
    assert one.counts == {"objects": 1}
    assert "1 more are left" in one.notes[0]
    assert one.sample[0]["name"] == "bad-1"
    pods = [pod["metadata"]["labels"]["job-name"] for pod in jobs_pods(cluster)]
    assert sorted(pods) == ["bad-1", "bad-2", "good", "runs"]
    CLEAN.apply(plan(CLEAN, sight, condition="any"), sight.writing(), "k")
    later(cluster, 5)
    assert [pod["metadata"]["labels"]["job-name"] for pod in jobs_pods(cluster)] == ["runs"]


def jobs_pods(cluster: Cluster) -> list[Any]:
    pods = cluster.objects("Pod", NAMESPACE)
    return [pod for pod in pods if "job-name" in pod["metadata"].get("labels", {})]


def test_a_clean_up_that_fails_half_way_says_so_and_is_finished_later(
    cluster: Cluster, sight: Sight
) -> None:
    make_job("bad-1", 1)(cluster)
    make_job("bad-2", 1)(cluster)
    later(cluster, 60)
    planned = plan(CLEAN, sight)
    cluster.faults.add(Fault(does="status", code=403, method="DELETE", path="bad-2"))
    with pytest.raises(ActionFailed, match="1 of 2 are deleted; then") as caught:
        CLEAN.apply(planned, sight.writing(), "k")
    assert caught.value.effect_possible
    assert CLEAN.confirm(planned, None, sight.reading(), "k") == NotApplied()
    cluster.faults.clear()
    receipt = CLEAN.apply(planned, sight.writing(), "k")
    assert CLEAN.confirm(planned, receipt, sight.reading(), "k") == Applied(receipt)


# ---------------------------------------------------------------- pods


def test_a_pod_made_anew_under_the_same_name_is_left_alone(cluster: Cluster, sight: Sight) -> None:
    planned = plan(DELETE, sight, name="db-0", wait=True)
    assert planned.notes == ()
    receipt = DELETE.apply(planned, sight.writing(), "k")
    assert isinstance(DELETE.confirm(planned, receipt, sight.reading(), "k"), NotYet)
    later(cluster, 60)
    uid = cluster.object("Pod", NAMESPACE, "db-0")["metadata"]["uid"]
    assert uid != planned.request["uid"]
    assert DELETE.confirm(planned, receipt, sight.reading(), "k") == Applied(receipt)
    assert DELETE.apply(planned, sight.writing(), "k") == receipt
    left = cluster.object("Pod", NAMESPACE, "db-0")["metadata"]
    assert (left["uid"], "deletionTimestamp" in left) == (uid, False)


def test_a_pod_without_an_owner_is_pointed_out(cluster: Cluster, sight: Sight) -> None:
    make_pod("lonely")(cluster)
    planned = plan(DELETE, sight, name="lonely")
    assert "nothing will make another" in (planned.why_irreversible or "")


def test_a_budget_forbids_an_eviction_and_says_what_it_needs(
    cluster: Cluster, sight: Sight
) -> None:
    body = {
        "metadata": {"name": "db"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "db"}}},
    }
    path = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets"
    assert cluster.call("POST", path, body=body).status == 201
    later(cluster, 5)
    planned = plan(EVICT, sight, name="db-0")
    assert "it would not go now" in planned.notes[0]
    with pytest.raises(ActionFailed, match="needs 2 healthy pods and has 2") as caught:
        EVICT.apply(planned, sight.writing(), "k")
    assert caught.value.category is Category.RATE_LIMIT
    assert not caught.value.effect_possible
    assert EVICT.confirm(planned, None, sight.reading(), "k") == NotApplied()


# ---------------------------------------------------------------- secrets and rights


def test_a_secret_is_set_and_nothing_of_it_is_said(cluster: Cluster, sight: Sight) -> None:
    data = {"token": "brand-new-value", "url": "https://x.invalid"}
    planned = plan(SET, sight, name="keys", data=data)
    receipt = SET.apply(planned, sight.writing(), "k")
    shown = json.dumps(
        [dict(planned.before), dict(planned.after), planned.summary, receipt.as_json()]
    )
    for value in (*data.values(), "hunter2-hunter2"):
        assert value not in shown
        assert base64.b64encode(value.encode()).decode() not in shown
    stored = cluster.object("Secret", NAMESPACE, "keys")["data"]
    assert base64.b64decode(stored["token"]).decode() == "brand-new-value"
    assert plan(SET, sight, name="keys", data=data).is_no_op
    with pytest.raises(ActionFailed, match="empty: token"):
        plan(SET, sight, name="keys", data={"token": ""})


@pytest.mark.parametrize(
    ("form", "value", "problem"),
    [
        ("text", b"fine", None),
        ("text", b"", "is empty"),
        ("text", b" \n", "only white space"),
        ("text", b"key\n", "line break"),
        ("text", b"\xff", "not text"),
        ("binary", b"\xff", None),
        ("token", b"a b", "white space in it"),
        ("url", b"postgresql://u:p@h:5432/db", None),
        ("url", b"localhost", "no URL"),
        ("url", b"http://h:port", "no URL"),
        ("json", b'{"a": 1}\n', None),
        ("json", b"{a}", "no JSON"),
        ("pem", b"-----BEGIN X-----\nabc\n-----END X-----\n", None),
        ("pem", b"abc", "no PEM"),
        ("base64", b"YWJj", None),
        ("base64", b"YWJ", "no base64"),
        ("integer", b"12", None),
        ("integer", b"1.5", "no integer"),
    ],
)
def test_forms_of_secrets(form: str, value: bytes, problem: str | None) -> None:
    found = problem_of(value, form)
    assert found is None if problem is None else problem in (found or "")


def test_a_secret_that_is_not_there_is_an_answer(sight: Sight) -> None:
    seen = CHECK.read(params(CHECK, name="none", keys={"a": "text"}), sight.reading())
    assert (seen["ok"], seen["found"]) == (False, False)


def test_rights_are_asked_of_the_server(cluster: Cluster) -> None:
    can = KubernetesCanI()
    asked = params(can, kind="Pod", subresource="eviction", verbs=["create"])
    everything: Any = can.read(asked, in_process(cluster).reading())
    assert everything == {"allowed": True, "verbs": {"create": True}, "denied": []}
    nothing: Any = can.read(asked, in_process(cluster, User("nobody")).reading())
    assert nothing == {"allowed": False, "verbs": {"create": False}, "denied": ["create"]}


# ---------------------------------------------------------------- history


def test_history_counts_failures_in_a_row_and_sees_a_new_image(
    cluster: Cluster, sight: Sight
) -> None:
    def look() -> Any:
        action = KubernetesCronJobHistory()
        return action.read(params(action, name="scoring"), sight.reading())

    cluster.script("scoring", [Fate(exit_code=0, times=1), Fate(exit_code=1)])
    change = KubernetesCronJobSet()
    change.apply(
        plan(change, sight, name="scoring", backoff_limit=0, keep_failed=3), sight.writing(), "k"
    )
    later(cluster, 3600)
    later(cluster, 120)
    seen = look()
    assert [job["state"] for job in seen["jobs"]] == ["complete"]
    assert seen["consecutive_failures"] == 0
    assert seen["failing_for"] == 0
    assert seen["image_change"] is None
    before = seen["jobs"][0]["images"]
    image = KubernetesSetImage()
    new = {"kind": "CronJob", "name": "scoring", "image": "registry.invalid/w:2"}
    image.apply(plan(image, sight, (), **new), sight.writing(), "k2")
    for _ in range(2):
        later(cluster, 3480)
        later(cluster, 120)
    seen = look()
    assert seen["consecutive_failures"] == 2
    assert 3600 <= seen["failing_for"] <= 3900
    assert seen["latest_failed"] == seen["latest"] == seen["jobs"][0]["name"]
    assert "BackoffLimitExceeded" in seen["jobs"][0]["reason"]
    assert seen["image_change"]["before"] == before
    assert seen["image_change"]["after"] == ["registry.invalid/w:2"]
    assert seen["image_change"]["since"] == seen["jobs"][1]["created"]
    assert seen["blocked"] > 7000
    assert seen["last_succeeded"] == seen["jobs"][2]["ended"]


def test_history_says_where_variables_come_from(cluster: Cluster, sight: Sight) -> None:
    item = kube_scene.cron_job("taker")
    [container] = item["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    container["env"] = [
        {"name": "PLAIN", "value": "1"},
        {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "url"}}},
        {"name": "MOST", "valueFrom": {"configMapKeyRef": {"name": "batch", "key": "most"}}},
    ]
    cluster.load([item])
    action = KubernetesCronJobHistory()
    seen: Any = action.read(params(action, name="taker"), sight.reading())
    assert seen["variables"] == {
        "URL": {"kind": "Secret", "name": "keys", "key": "url"},
        "MOST": {"kind": "ConfigMap", "name": "batch", "key": "most"},
    }
