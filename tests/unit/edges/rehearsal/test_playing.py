"""Rehearsals that hold, and every way in which one does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.edges.rehearsal.stage import clean_up
from engine.edges.rehearsal.suite import Result
from tests.unit.edges.rehearsal.kit import make_ground, played, seen

SCALE = """
rehearsal: scaled
playbook: shop/scale
world:
  cluster: {namespace: shop, objects: [{kind: Deployment, name: web, spec: {replicas: 6}}]}
  metrics:
    - {query: "sum(rate(errors[5m]))", value: 0.5}
    - {query: "sum( rate(errors[5m]) )", after: {step: scale, in: 10m}, value: 0.01}
"""
GOOD = """
expect:
  run: succeeded
  steps: {scale: changed}
  changes: [{target: shop/Deployment/web, set: {replicas: [6, 2]}}]
"""
Play = Callable[[str], Result]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    folder = tmp_path_factory.mktemp("project")
    ground = make_ground(folder)
    yield lambda text: played(ground, folder, text)
    clean_up()


def test_what_is_expected_holds_and_hours_cost_milliseconds(play: Play) -> None:
    result = play(SCALE + GOOD + '  took: "> 9m"\n  order: [rate, scale, calm, run.succeeded]\n')
    assert result.ok, (result.error, result.misses)
    assert result.took > 9 * 60


def test_an_unexpected_change_is_named(play: Play) -> None:
    result = play(SCALE + "expect: {run: succeeded, changes: []}\n")
    found = seen(result)
    assert found == {
        "a change of cluster:shop/Deployment/web": "changed: spec.replicas: 6 -> 2",
    }
    assert result.misses[0].place.endswith("one.rehearsal.yaml:9")
    assert any("scale" in line for line in result.timeline)


@pytest.mark.parametrize(
    ("expect", "what", "got"),
    [
        (
            "changes: [{target: shop/Deployment/web, set: {replicas: [6, 3]}}]",
            "the change of",
            "6 -> 2",
        ),
        (
            "changes: [{target: shop/Deployment/api, set: {replicas: [6, 2]}}]",
            "the change of",
            "nothing",
        ),
        ("run: failed", "the run", "succeeded"),
        ("steps: {scale: skipped}", "step scale", "changed"),
        ("steps: {calm: not_reached}", "step calm", "succeeded"),
        ("attempts: {scale: 2}", "attempts of scale", "1"),
        ("order: [scale, rate]", "the order: rate", "not after scale"),
        ("order: [run.failed]", "the order: run.failed", "never happened"),
        ("messages: [{contains: nobody says this}]", "a message with", "0 times"),
        ('took: "< 1m"', "the run took", "1"),
        ("runs: 2", "runs", "1"),
        ("outputs: {a: 1}", "the output a", "None"),
        ("gates: {plan: approved}", "gate plan", "never opened"),
        ("decisions: [{verdict: run}]", "the decision run", "nothing was decided"),
    ],
)
def test_every_expectation_can_miss(play: Play, expect: str, what: str, got: str) -> None:
    result = play(SCALE + f"expect:\n  {expect}\n")
    matching = {name: text for name, text in seen(result).items() if name.startswith(what)}
    assert matching, seen(result)
    assert got in next(iter(matching.values()))


def test_a_call_that_the_world_cannot_answer_fails_it_although_the_playbook_goes_on(
    play: Play,
) -> None:
    text = SCALE.replace("value: 0.5", "value: 0.5, after: {step: scale}") + GOOD
    result = play(text)
    assert [miss.what for miss in result.misses if "a call" in miss.what] == [
        "a call: metrics: query 'sum(rate(errors[5m]))'"
    ]
    assert "stanch record" in result.misses[0].expected


def test_a_connection_without_a_world_is_named(play: Play) -> None:
    world = SCALE.replace("  cluster: {", "  api: []\n  cluster_: {").split("  cluster_")[0]
    result = play(world + "expect: {run: failed}\n")
    assert any(
        "cluster" in miss.what and "holds no such connection" in miss.what for miss in result.misses
    )


def test_an_answer_that_nobody_asks_for_fails_it_unless_it_is_optional(play: Play) -> None:
    extra = "    - {matching: never, value: 1}\n"
    assert "an answer: metrics: query 'matching never'" in seen(play(SCALE + extra + GOOD))
    assert play(SCALE + extra.replace("value: 1", "value: 1, optional: true") + GOOD).ok


def test_faults_and_people_that_never_come_fail_it(play: Play) -> None:
    more = (
        "faults: [{step: scale, attempt: 7, crash: before_effect}]\n"
        "people: [{gate: plan, who: alice, roles: [sre]}]\n"
    )
    found = seen(play(SCALE + more + GOOD))
    assert found["the fault crash of scale, attempt 7"] == "it never did"
    assert found["alice (approve)"] == "the moment never came"


@pytest.mark.parametrize("where", ["before_effect", "after_effect"])
def test_a_crash_around_the_effect_changes_it_once(play: Play, where: str) -> None:
    result = play(SCALE + f"faults: [{{step: scale, crash: {where}}}]\n" + GOOD)
    assert result.ok, (result.error, result.misses)


def test_a_failure_is_tried_again_at_its_time(play: Play) -> None:
    fault = "faults: [{step: scale, times: 2, fail: {status: 429, retry_after: 90s}}]\n"
    result = play(
        SCALE
        + fault
        + GOOD
        + "  attempts: {scale: 3}\n  order: [scale.retry, scale.retry, scale]\n"
    )
    assert result.ok, (result.error, result.misses)
    assert result.took > 180 + 600


def test_a_read_that_fails_for_good_is_a_fault_too(play: Play) -> None:
    fault = "faults: [{step: rate, fail: {category: permanent, message: gone}}]\n"
    result = play(SCALE + fault + GOOD + "  order: [rate.failed, scale]\n")
    assert result.ok, (result.error, result.misses)


def test_people_are_refused_as_the_engine_says(play: Play) -> None:
    people = (
        "mode: approve\n"
        "people:\n"
        "  - {gate: plan, who: requester, roles: [sre], refused: asked for}\n"
        "  - {gate: plan, who: carol, refused: lacks the role, after: 1m}\n"
        "  - {gate: plan, who: bob, roles: [sre], after: 2m}\n"
    )
    result = play(SCALE + people + GOOD)
    assert result.ok, result.misses
    missed = play(SCALE + people.replace("lacks the role", "sleeps") + GOOD)
    assert "it was refused for another reason" in seen(missed)["carol (approve)"]


def test_all_other_worlds_answer(play: Play) -> None:
    result = play(
        """
rehearsal: everything
playbook: shop/all
world:
  api:
    - {method: POST, path: /v1/jobs, body: {name: nightly}, status: 429, times: 1}
    - {method: POST, path: /v1/jobs, body: {name: nightly}, status: 201, json: {id: j-1}}
  files: {buckets: {out: {objects: {tmp/a: x, tmp/b: {size: 10}, keep/c: "y"}}}}
  tools: [{program: queue, arguments: [pause, "--queue=*"], stdout: "paused\\n"}]
  warehouse: {answers: [{action: postgres.query, output: {rows: [{n: 3}], row: {n: 3}, count: 1}}]}
expect:
  run: succeeded
  changes:
    - {target: POST /v1/jobs, requests: 1}
    - {target: out/tmp/*, deleted: 2}
    - {target: queue, requests: 1}
  messages: [{to: team@example.com, contains: 3 jobs, times: 1}]
"""
    )
    assert result.ok, (result.error, result.misses, result.timeline)


def test_files_that_are_attached_are_messages(play: Play) -> None:
    """The run belongs to no incident: its files are its own. The same file twice is one."""
    kept = "rehearsal: kept\nplaybook: shop/keep\nexpect:\n  messages:\n    - {to: artifacts, times: 1, contains: %s}\n"
    assert play(kept % "errors.json").ok
    assert play(kept % '"\\"error\\": \\"boom\\""').ok
    assert "0 times" in seen(play(kept % "quiet"))["a message with 'quiet'"]


TOUCHED = """
rehearsal: somebody is at it
playbook: shop/scale
clock: "2026-01-01T00:00:00Z"
world:
  cluster:
    namespace: shop
    objects:
      - kind: Deployment
        name: web
        metadata: {managedFields: [{manager: helm, time: "2025-12-31T23:58:00Z"}]}
        spec: {replicas: 6}
  metrics: [{query: "sum(rate(errors[5m]))", value: 0.5}]
expect:
  run: held
  reason: helm at 2025-12-31T23:58:00
  changes: []
"""


def test_what_somebody_else_has_just_changed_holds_an_automatic_run(play: Play) -> None:
    result = play(TOUCHED)
    assert result.ok, (result.error, result.misses)


WHY = """
rehearsal: why it failed
playbook: shop/why
world:
  cluster:
    namespace: shop
    objects:
      - {kind: ConfigMap, name: settings, data: {BATCH: "200"}}
      - {kind: Secret, name: keys, stringData: {token: hidden}}
      - kind: CronJob
        name: nightly
        spec:
          schedule: "0 0 1 1 *"
          jobTemplate:
            spec:
              backoffLimit: 0
              template:
                spec:
                  restartPolicy: Never
                  containers:
                    - name: w
                      image: "w:1"
                      env:
                        - {name: BATCH, valueFrom: {configMapKeyRef: {name: settings, key: BATCH}}}
                        - {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}
                        - {name: NONE, valueFrom: {configMapKeyRef: {name: settings, key: none, optional: true}}}
    jobs:
      nightly:
        - {when: "CONDITION", exit_code: 1, after: 5s, logs: "deadlock detected"}
        - {exit_code: 1, after: 5s, logs: "no space left on device"}
expect: {run: succeeded, outputs: {class: CLASS}}
"""


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("env.BATCH | number > 100", "deadlock"),
        ("env.BATCH | number > 200", "disk"),
        ("env.TOKEN == 'hidden' and env.NONE is none", "deadlock"),
    ],
)
def test_fates_see_what_containers_are_given_and_patterns_need_no_world(
    play: Play, condition: str, found: str
) -> None:
    result = play(WHY.replace("CONDITION", condition).replace("CLASS", found))
    assert not [miss for miss in result.misses if "change of" not in miss.what], result.misses
