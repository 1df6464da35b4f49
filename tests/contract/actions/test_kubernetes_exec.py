"""kubernetes.exec: exit codes, outputs, time-outs, and what may not run; in process and over a WebSocket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from actions.kubernetes.execute import KubernetesExec
from actions.kubernetes.guard import Allow, refuse_command
from engine.contract import ActionFailed, Category, Planned
from engine.domain.clock import ManualClock
from tests.contract.actions import kube_scene
from tests.contract.actions.kube_scene import NAMESPACE, Sight, in_process, over_http
from worlds.cluster import ADMIN_TOKEN, Cluster, Fault, Ran, Timing
from worlds.cluster.server import ClusterServer

EXEC = KubernetesExec()
COMMANDS = ["echo ...", "fail ...", "big", "none", "sleep *"]


@pytest.fixture
def cluster() -> Cluster:
    cluster = kube_scene.make_cluster(ManualClock())
    cluster.programs.add("fail", lambda _, words: Ran(int(words[1]), b"out", b"went wrong\n"))
    cluster.programs.add("big", lambda _, __: Ran(0, b"x" * 200_000, b"e" * 10))
    return cluster


@pytest.fixture(params=["in process", "http"])
def sight(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Sight]:
    if request.param == "in process":
        yield in_process(cluster, allow=Allow(commands=COMMANDS))
        return
    with ClusterServer(cluster) as server:
        allow = {"commands": COMMANDS}
        yield over_http(server.url, ADMIN_TOKEN, cluster.clock, allow=allow)


def plan(sight: Sight, *command: str, **given: Any) -> Planned:
    params = {"connection": "cluster", "namespace": NAMESPACE, "name": "db-0", **given}
    checked = EXEC.Params.model_validate({**params, "command": list(command)})
    return EXEC.plan(checked, sight.reading())


def run(sight: Sight, *command: str, **given: Any) -> Any:
    return EXEC.apply(plan(sight, *command, **given), sight.writing(), "k").output


def test_arguments_arrive_as_they_are(cluster: Cluster, sight: Sight) -> None:
    output = run(sight, "echo", "a b", "$(x); y", "é")
    assert output == {
        "exit_code": 0,
        "stdout": "a b $(x); y é\n",
        "stderr": "",
        "truncated": False,
    }
    assert cluster.programs.ran == [("db-0", ("echo", "a b", "$(x); y", "é"))]


def test_an_exit_code_is_a_failure_unless_it_is_expected(sight: Sight) -> None:
    with pytest.raises(ActionFailed, match="ended with exit code 3: went wrong") as caught:
        run(sight, "fail", "3")
    assert (caught.value.category, caught.value.effect_possible) == (Category.PERMANENT, True)
    with pytest.raises(ActionFailed) as caught:
        run(sight, "fail", "137")
    assert caught.value.category is Category.RESOURCE
    output = run(sight, "fail", "3", expect=[3])
    assert (output["exit_code"], output["stdout"], output["stderr"]) == (3, "out", "went wrong\n")


def test_outputs_are_cut_and_the_end_is_still_heard(sight: Sight) -> None:
    output = run(sight, "big", limit="1Ki")
    assert output["stdout"] == "x" * 1024
    assert (output["stderr"], output["truncated"], output["exit_code"]) == ("e" * 10, True, 0)


def test_what_cannot_start_or_takes_too_long(cluster: Cluster) -> None:
    sight = in_process(cluster, allow=Allow(commands=COMMANDS))
    with pytest.raises(ActionFailed, match="executable file not found in") as caught:
        run(sight, "none")
    assert caught.value.category is Category.PERMANENT
    with pytest.raises(ActionFailed, match=r"longer than 2 s; it may go on") as caught:
        run(sight, "sleep", "10", within="2s")
    assert caught.value.effect_possible


def test_a_time_out_over_the_wire() -> None:
    cluster = Cluster(timing=Timing(latency=0.0, start=0.0))
    cluster.load([kube_scene.SCENE[4]])
    end = time.monotonic() + 10
    while not any(
        "running" in status["state"]
        for pod in cluster.objects("Pod", NAMESPACE)
        for status in pod["status"].get("containerStatuses", [])
    ):
        assert time.monotonic() < end
        time.sleep(0.02)
    with ClusterServer(cluster) as server:
        sight = over_http(server.url, ADMIN_TOKEN, cluster.clock, allow={"commands": COMMANDS})
        with pytest.raises(ActionFailed, match=r"longer than 0\.3 s"):
            run(sight, "sleep", "2", within=0.3)


def test_a_missing_right_is_said(cluster: Cluster, sight: Sight) -> None:
    planned = plan(sight, "echo", "x")
    cluster.faults.add(Fault(does="status", code=403, path="/exec$", reason="Forbidden"))
    with pytest.raises(ActionFailed) as caught:
        EXEC.apply(planned, sight.writing(), "k")
    assert (caught.value.category, caught.value.effect_possible) == (
        Category.CONFIGURATION,
        False,
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"name": "none"}, "not found"),
        ({"container": "none"}, "no container 'none'; there are: db"),
    ],
)
def test_where_it_cannot_run(sight: Sight, given: Any, why: str) -> None:
    with pytest.raises(ActionFailed, match=why):
        plan(sight, "echo", **given)


def test_only_listed_commands_run_and_only_where_writing_is_allowed(sight: Sight) -> None:
    with pytest.raises(ActionFailed, match=r"'rm' is not in the connection's allow\.commands"):
        plan(sight, "rm", "-rf", "/")
    planned = plan(sight, "echo", "x")
    with pytest.raises(ActionFailed, match="read-only client runs no commands"):
        EXEC.apply(planned, sight.reading(), "k")


@pytest.mark.parametrize(
    ("pattern", "command", "allowed"),
    [
        ("redis-cli LLEN *", ["redis-cli", "LLEN", "celery"], True),
        ("redis-cli LLEN *", ["redis-cli", "LLEN", "a", "b"], False),
        ("redis-cli LLEN *", ["redis-cli LLEN", "x"], False),
        ("redis-cli ...", ["redis-cli", "LLEN", "a"], True),
        ("redis-cli ...", ["redis-cli"], True),
        ("redis-cli ...", ["redis-cli-x"], False),
        ("...", ["anything"], False),
        ("", [""], False),
    ],
)
def test_commands_are_compared_word_by_word(
    pattern: str, command: list[str], allowed: bool
) -> None:
    assert (refuse_command(Allow(commands=[pattern]), command) is None) is allowed
    assert refuse_command(Allow(), command) is not None
