"""Controllers bring the cluster where the specs say, in the order and the time that a real one takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.worlds.cluster.scene import (
    MERGE,
    NS,
    STRATEGIC,
    Town,
    cron_job,
    deployment,
    job,
    pod_template,
)
from worlds.cluster import Fate


def condition(item: Any, kind: str) -> Any:
    return next(each for each in item["status"]["conditions"] if each["type"] == kind)


def set_image(town: Town, name: str, image: str) -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    assert town.ask("PATCH", town.path("Deployment", name), patch, STRATEGIC)[0] == 200


# ---------------------------------------------------------------- deployments


def test_controllers_act_only_as_time_goes_on() -> None:
    town = Town(deployment())
    assert town.list("Pod") == []
    town.later(0.3)
    assert len(town.list("Pod")) == 3
    assert town.get("Deployment", "d")["status"]["unavailableReplicas"] == 3
    town.later(2)
    status = town.get("Deployment", "d")["status"]
    assert (status["readyReplicas"], status["observedGeneration"]) == (3, 1)


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), (2, 1), ("25%", "25%")])
def test_a_rolling_update_stays_within_its_bounds(surge: Any, unavailable: Any) -> None:
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    town = Town(deployment(replicas=4, strategy={"type": "RollingUpdate", **rolling}))
    town.later(5)
    set_image(town, "d", "registry.invalid/app:2")
    most, fewest = (1, 1) if surge == "25%" else (surge, unavailable)
    seen = set()
    for _ in range(400):
        town.later(0.05)
        status = town.get("Deployment", "d")["status"]
        wanted = sum(each["spec"]["replicas"] for each in town.list("ReplicaSet"))
        assert wanted <= 4 + most
        assert status.get("availableReplicas", 0) >= 4 - fewest
        seen.add(status.get("updatedReplicas", 0))
    assert status["updatedReplicas"] == status["availableReplicas"] == status["replicas"] == 4
    assert condition(town.get("Deployment", "d"), "Progressing")["reason"] == (
        "NewReplicaSetAvailable"
    )
    assert len(seen) > 1, "it rolled over in steps"


def test_recreate_ends_all_pods_before_it_starts_new_ones() -> None:
    town = Town(deployment(strategy={"type": "Recreate"}))
    town.later(5)
    set_image(town, "d", "registry.invalid/app:2")
    for _ in range(200):
        town.later(0.05)
        images = {pod["spec"]["containers"][0]["image"] for pod in town.list("Pod")}
        assert len(images) <= 1
    assert images == {"registry.invalid/app:2"}
    assert town.get("Deployment", "d")["status"]["availableReplicas"] == 3


def test_a_rollout_that_does_not_progress_says_so_after_its_deadline() -> None:
    town = Town(deployment(progressDeadlineSeconds=60))
    town.later(5)
    set_image(town, "d", "registry.invalid/does-not-exist:1")
    town.later(30)
    assert condition(town.get("Deployment", "d"), "Progressing")["status"] == "True"
    town.later(60)
    stuck = condition(town.get("Deployment", "d"), "Progressing")
    assert (stuck["status"], stuck["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert condition(town.get("Deployment", "d"), "Available")["status"] == "True"


def test_a_template_that_was_there_before_takes_its_replica_set_again() -> None:
    town = Town(deployment())
    town.later(5)
    first = {each["metadata"]["name"] for each in town.list("ReplicaSet")}
    set_image(town, "d", "registry.invalid/app:2")
    town.later(20)
    set_image(town, "d", "registry.invalid/app:1")
    town.later(20)
    sets = {each["metadata"]["name"]: each for each in town.list("ReplicaSet")}
    assert len(sets) == 2
    (back,) = (sets[name] for name in first)
    notes = back["metadata"]["annotations"]
    assert back["spec"]["replicas"] == 3
    assert notes["deployment.kubernetes.io/revision"] == "3"
    assert notes["deployment.kubernetes.io/revision-history"] == "1"


def test_a_paused_deployment_scales_and_does_not_roll() -> None:
    town = Town(deployment(paused=True))
    town.later(1)
    assert town.list("ReplicaSet") == []
    town.ask("PATCH", town.path("Deployment", "d"), {"spec": {"paused": False}}, MERGE)
    town.later(5)
    patch = {"spec": {"paused": True, "replicas": 5}}
    town.ask("PATCH", town.path("Deployment", "d"), patch, MERGE)
    set_image(town, "d", "registry.invalid/app:2")
    town.later(20)
    assert len(town.list("ReplicaSet")) == 1
    assert len(town.list("Pod")) == 5


def test_a_rollout_that_is_under_way_is_scaled_in_proportion() -> None:
    town = Town(deployment(replicas=10))
    town.later(5)
    set_image(town, "d", "registry.invalid/does-not-exist:1")
    town.later(5)
    before = sorted(each["spec"]["replicas"] for each in town.list("ReplicaSet"))
    town.ask("PATCH", town.path("Deployment", "d"), {"spec": {"replicas": 20}}, MERGE)
    town.later(5)
    after = sorted(each["spec"]["replicas"] for each in town.list("ReplicaSet"))
    assert before[0] >= 1
    assert after[0] > before[0]
    assert after[1] > before[1]


def test_old_replica_sets_are_kept_up_to_the_limit() -> None:
    town = Town(deployment(revisionHistoryLimit=2))
    for number in range(6):
        set_image(town, "d", f"registry.invalid/app:{number + 10}")
        town.later(20)
    assert len(town.list("ReplicaSet")) == 3


def test_readiness_comes_after_its_delay_and_availability_after_min_ready() -> None:
    template = pod_template({"app": "d"}, ready_after="10s")
    town = Town(deployment(template=template, minReadySeconds=20))
    town.later(5)
    assert "readyReplicas" not in town.get("Deployment", "d")["status"]
    town.later(10)
    status = town.get("Deployment", "d")["status"]
    assert (status["readyReplicas"], status.get("availableReplicas")) == (3, None)
    town.later(20)
    assert town.get("Deployment", "d")["status"]["availableReplicas"] == 3


def test_a_deleted_pod_is_replaced() -> None:
    town = Town(deployment(replicas=2))
    town.later(5)
    name = town.list("Pod")[0]["metadata"]["name"]
    assert town.ask("DELETE", town.path("Pod", name))[0] == 200
    town.later(10)
    names = [pod["metadata"]["name"] for pod in town.list("Pod")]
    assert len(names) == 2
    assert name not in names


# ---------------------------------------------------------------- pods


def test_a_crash_loop_waits_longer_each_time() -> None:
    town = Town(deployment(replicas=1, template=pod_template({"app": "d"}, exit_code="3")))
    counts = []
    for _ in range(6):
        town.later(30)
        (pod,) = town.list("Pod")
        state = pod["status"]["containerStatuses"][0]
        assert state["lastState"]["terminated"]["exitCode"] == 3
        assert state["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        counts.append(state["restartCount"])
    assert counts == sorted(counts)
    assert counts[-1] < 6, "the wait doubles"
    assert "readyReplicas" not in town.get("Deployment", "d")["status"]


def test_hours_pass_in_one_step_and_leave_their_times() -> None:
    town = Town(cron_job("c", "0 * * * *", successfulJobsHistoryLimit=100))
    town.later(6 * 3600 + 60)
    jobs = town.list("Job")
    starts = [each["status"]["startTime"] for each in jobs]
    assert [start[11:16] for start in starts] == [f"{hour:02}:00" for hour in range(1, 7)]
    assert {each["status"]["succeeded"] for each in jobs} == {1}


# ---------------------------------------------------------------- jobs and cron jobs


def test_a_job_completes() -> None:
    town = Town(job("j", completions=3, parallelism=2))
    town.later(1.5)
    assert town.get("Job", "j")["status"]["active"] == 2
    town.later(30)
    status = town.get("Job", "j")["status"]
    assert status["succeeded"] == 3
    assert [each["type"] for each in status["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert not any("finalizers" in pod["metadata"] for pod in town.list("Pod"))


def test_a_job_fails_after_its_backoff_limit() -> None:
    town = Town(job("j", {"exit_code": "1"}, backoffLimit=2))
    town.later(20)
    assert "conditions" not in town.get("Job", "j")["status"]
    town.later(60)
    status = town.get("Job", "j")["status"]
    assert status["failed"] == 3
    assert {each["reason"] for each in status["conditions"]} == {"BackoffLimitExceeded"}


def test_a_job_fails_at_its_deadline() -> None:
    town = Town(job("j", {"after": "10m"}, activeDeadlineSeconds=60))
    town.later(61)
    status = town.get("Job", "j")["status"]
    assert {each["reason"] for each in status["conditions"]} == {"DeadlineExceeded"}
    town.later(5)
    assert town.list("Pod") == []


def test_a_suspended_job_has_no_pods_until_it_is_resumed() -> None:
    town = Town(job("j", {"after": "1h"}))
    town.later(3)
    town.ask("PATCH", town.path("Job", "j"), {"spec": {"suspend": True}}, MERGE)
    town.later(5)
    assert town.list("Pod") == []
    town.ask("PATCH", town.path("Job", "j"), {"spec": {"suspend": False}}, MERGE)
    town.later(5)
    assert len(town.list("Pod")) == 1


def test_restart_policy_on_failure_restarts_within_the_pod() -> None:
    town = Town(job("j", {"exit_code": "1"}, backoffLimit=2, restart="OnFailure"))
    town.later(300)
    assert condition(town.get("Job", "j"), "Failed")["reason"] == "BackoffLimitExceeded"


def test_ttl_removes_a_finished_job_and_its_pods() -> None:
    town = Town(job("j", ttlSecondsAfterFinished=60))
    town.later(30)
    assert len(town.list("Job")) == 1
    town.later(60)
    assert town.list("Job") == []
    assert town.list("Pod") == []


@pytest.mark.parametrize(("policy", "running"), [("Allow", 3), ("Forbid", 1), ("Replace", 1)])
def test_concurrency_policies(policy: str, running: int) -> None:
    town = Town(cron_job("c", "*/10 * * * *", concurrencyPolicy=policy))
    town.cluster.script("c", [Fate(exit_code=0, after=3600)])
    town.later(31 * 60)
    active = [each for each in town.list("Job") if each["status"].get("active")]
    assert len(active) == running
    assert len(town.get("CronJob", "c")["status"]["active"]) == running


def test_history_limits_keep_the_newest() -> None:
    town = Town(cron_job("c", "*/5 * * * *"))
    town.later(3660)
    names = [each["metadata"]["name"] for each in town.list("Job")]
    assert len(names) == 3
    assert names == sorted(names)


def test_a_resumed_cron_job_makes_up_for_the_last_missed_firing_only() -> None:
    town = Town(cron_job("c", "0 * * * *", suspend=True))
    town.later(5 * 3600 + 60)
    assert town.list("Job") == []
    town.ask("PATCH", town.path("CronJob", "c"), {"spec": {"suspend": False}}, MERGE)
    town.later(10)
    assert len(town.list("Job")) == 1


def test_a_script_decides_pod_by_pod() -> None:
    def small(pod: Any) -> bool:
        limits = pod["spec"]["containers"][0]["resources"].get("limits", {})
        return bool(limits.get("memory") == "1Gi")

    town = Town(cron_job("scoring", "0 * * * *"))
    fates = [
        Fate(exit_code=137, reason="OOMKilled", after=240, logs="Killed", when=small),
        Fate(exit_code=0, after=1200),
    ]
    town.cluster.script("scoring", fates)

    def memory(amount: str) -> None:
        limits = {"containers": [{"name": "c", "resources": {"limits": {"memory": amount}}}]}
        spec = {"backoffLimit": 0, "template": {"spec": limits}}
        patch = {"spec": {"jobTemplate": {"spec": spec}}}
        assert town.ask("PATCH", town.path("CronJob", "scoring"), patch, STRATEGIC)[0] == 200

    memory("1Gi")
    town.later(3600 + 300)
    (failed,) = town.list("Job")
    assert condition(failed, "Failed")["reason"] == "BackoffLimitExceeded"
    (pod,) = town.list("Pod")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    log = town.cluster.call("GET", f"{town.path('Pod', pod['metadata']['name'])}/log")
    assert log.body.endswith(b"Killed\n")
    memory("2Gi")
    town.later(3600 + 1300)
    assert condition(town.list("Job")[-1], "Complete")


def test_a_job_made_by_hand_follows_the_script_of_its_cronjob() -> None:
    town = Town(cron_job("scoring", "0 0 1 1 *"))
    town.cluster.script("scoring", [Fate(exit_code=3, after=10, logs="scored nothing")])
    spec = town.get("CronJob", "scoring")["spec"]["jobTemplate"]["spec"]
    notes = {"cronjob.kubernetes.io/instantiate": "manual"}
    marks = {"stanch.dev/cronjob": "scoring"}
    for name, given in (("by-hand", notes), ("of-its-own", {})):
        metadata = {"name": name, "labels": marks, "annotations": given}
        job = {"metadata": metadata, "spec": {**spec, "backoffLimit": 0}}
        assert town.ask("POST", town.path("Job"), job)[0] == 201
    town.later(60)
    assert condition(town.get("Job", "by-hand"), "Failed")
    assert condition(town.get("Job", "of-its-own"), "Complete")


# ---------------------------------------------------------------- housekeeping


def test_deleting_a_deployment_deletes_what_it_owns() -> None:
    town = Town(deployment())
    town.later(5)
    assert town.ask("DELETE", town.path("Deployment", "d"))[1]["status"] == "Success"
    town.later(5)
    assert town.list("ReplicaSet") == []
    assert town.list("Pod") == []


def test_orphaning_leaves_the_pods() -> None:
    town = Town(deployment(replicas=1))
    town.later(5)
    (which,) = town.list("ReplicaSet")
    town.ask("DELETE", town.path("Deployment", "d"), propagationPolicy="Orphan")
    town.later(5)
    (left,) = town.list("ReplicaSet")
    assert left["metadata"]["uid"] == which["metadata"]["uid"]
    assert not left["metadata"].get("ownerReferences")


def test_foreground_deletion_ends_with_the_dependents() -> None:
    town = Town(deployment(replicas=1))
    town.later(5)
    town.ask("DELETE", town.path("Deployment", "d"), propagationPolicy="Foreground")
    assert town.get("Deployment", "d")["metadata"]["finalizers"] == ["foregroundDeletion"]
    town.later(10)
    assert town.list("Deployment") == []
    assert town.list("Pod") == []


def test_a_namespace_takes_everything_with_it() -> None:
    town = Town(deployment(), cron_job("c", "0 * * * *"))
    town.later(5)
    assert town.ask("DELETE", f"/api/v1/namespaces/{NS}")[1]["status"]["phase"] == "Terminating"
    status, answer = town.ask("POST", town.path("ConfigMap"), {"metadata": {"name": "x"}})
    assert status == 403
    assert "because it is being terminated" in answer["message"]
    town.later(30)
    assert town.ask("GET", f"/api/v1/namespaces/{NS}")[0] == 404
    assert town.list("Pod") == []


def test_a_budget_lets_evictions_through_as_long_as_enough_are_healthy() -> None:
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": NS},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "d"}}},
    }
    town = Town(deployment(), budget)
    town.later(5)
    names = [pod["metadata"]["name"] for pod in town.list("Pod")]
    codes = [town.ask("POST", f"{town.path('Pod', name)}/eviction", {})[0] for name in names]
    assert codes == [201, 429, 429]
    town.later(10)
    assert town.get("PodDisruptionBudget", "b")["status"]["currentHealthy"] == 3


def test_stateful_sets_keep_their_names_and_roll_from_the_last() -> None:
    template = pod_template({"app": "s"})
    body = {
        "kind": "StatefulSet",
        "metadata": {"name": "s", "namespace": NS},
        "spec": {
            "replicas": 3,
            "serviceName": "s",
            "selector": {"matchLabels": {"app": "s"}},
            "template": template,
        },
    }
    town = Town(body)
    town.later(1.3)
    assert [pod["metadata"]["name"] for pod in town.list("Pod")] == ["s-0", "s-1"]
    town.later(10)
    patch = {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}
    town.ask("PATCH", town.path("StatefulSet", "s"), patch, MERGE)
    town.later(2.5)
    new = [pod["metadata"]["name"] for pod in town.list("Pod", labelSelector="v=2")]
    assert new == ["s-2"]
    town.later(20)
    status = town.get("StatefulSet", "s")["status"]
    assert status["updatedReplicas"] == status["readyReplicas"] == 3
    assert status["currentRevision"] == status["updateRevision"]


def test_daemon_sets_run_one_pod_a_node() -> None:
    body = {
        "kind": "DaemonSet",
        "metadata": {"name": "ds", "namespace": NS},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pod_template({"a": "b"})},
    }
    town = Town(body)
    town.later(5)
    assert town.get("DaemonSet", "ds")["status"]["numberAvailable"] == 2
    patch = {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}
    town.ask("PATCH", town.path("DaemonSet", "ds"), patch, MERGE)
    town.later(20)
    assert town.get("DaemonSet", "ds")["status"]["updatedNumberScheduled"] == 2


def test_events_tell_the_story_and_go_after_an_hour() -> None:
    town = Town(deployment(replicas=1))
    town.later(5)
    reasons = {event["reason"] for event in town.list("Event")}
    assert {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Started"} <= reasons
    town.later(3700)
    assert town.list("Event") == []
