"""Chaos that branches off one performance comes to the ends of performances that are played by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from engine.edges.rehearsal import suite
from engine.edges.rehearsal.branching import branches, grow
from engine.edges.rehearsal.chaos import disturbed, undisturbed
from engine.edges.rehearsal.ends import judged
from engine.edges.rehearsal.sidebyside import side_by_side
from engine.edges.rehearsal.stage import Ground
from engine.language.rehearsalreading import Rehearsal
from tests.unit.edges.rehearsal.kit import make_ground

ROOT = Path(__file__).parents[4]
# Its mistake: that the change may fail. What it tells lies in files of the performance.
MISTAKEN = """
playbook: shop/mistaken
steps:
  - id: scale
    on_failure: continue
    action: kubernetes.scale
    with: {connection: cluster, namespace: shop, kind: Deployment, name: web, replicas: 2}
  - id: tell
    action: mail.send
    with: {connection: post, to: [team@example.com], subject: scaled, text: done}
"""
REHEARSAL = """
rehearsal: mistaken
playbook: shop/mistaken
world:
  cluster: {namespace: shop, objects: [{kind: Deployment, name: web, spec: {replicas: 3}}]}
expect: {run: succeeded}
"""
MAKING = """
rehearsal: a job is made
playbook: shop/why
world:
  cluster:
    namespace: shop
    objects:
      - kind: CronJob
        name: nightly
        spec:
          schedule: "0 3 * * *"
          jobTemplate: {spec: {template: {spec: {containers: [{name: app, image: "app:1"}], restartPolicy: Never}}}}
expect: {run: succeeded}
"""
ELSEWHERE = """
rehearsal: rows
playbook: shop/sql
world: {warehouse: {tables: {jobs: []}}, cluster: {namespace: shop, objects: []}}
expect: {run: succeeded}
"""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return make_ground(tmp_path, {"shop/mistaken": MISTAKEN})


def read(folder: Path, text: str) -> Rehearsal:
    path = folder / "one.rehearsal.yaml"
    path.write_text(text)
    (rehearsal,) = suite.find([path])
    return rehearsal


def test_every_branch_ends_as_a_performance_of_its_own(ground: Ground, tmp_path: Path) -> None:
    rehearsal = read(tmp_path, REHEARSAL)
    assert branches(ground, rehearsal)
    with suite.prepared(ground, [rehearsal]) as service:
        first = undisturbed(ground, rehearsal, service)
        troubles = dict(enumerate(first.troubles))
        shares = [{n: one for n, one in troubles.items() if n % 2 == odd} for odd in (0, 1)]
        growing = [partial(grow, ground, rehearsal, service, share) for share in shares]
        grown = {number: end for ends in side_by_side(growing, 2) for number, end in ends.items()}
        alone = {n: disturbed(ground, rehearsal, service, one) for n, one in troubles.items()}
    assert {one.kind for one in first.troubles} == {
        *("write", "effect", "once", "happened", "always", "slow_down", "slow")
    }
    assert sorted(grown) == sorted(troubles)  # each of them branched
    different = [
        f"{troubles[number]}: {grown[number]} instead of {alone[number]}"
        for number in troubles
        if grown[number] != alone[number]
    ]
    assert not different, "\n".join(different)
    assert len({end.changes for end in alone.values()}) > 1  # they are not all alike
    assert len({end.states for end in alone.values()}) > 1


# What a process may open at its first performance must not keep it from branching.
FRESH = """
import json, sys
from pathlib import Path
from engine.edges.rehearsal import suite
from engine.edges.rehearsal.chaos import disturb
from tests.unit.edges.rehearsal.kit import make_ground
folder = Path(sys.argv[1])
ground = make_ground(folder, {"shop/notes": sys.argv[2]})
found = suite.find([folder / "two.rehearsal.yaml"])
with suite.prepared(ground, found) as service:
    print(json.dumps([one.as_json() for one in disturb(ground, found, service, jobs=2, worth=0)]))
"""
NOTES = """
playbook: shop/notes
steps: [{id: keep, action: incident.artifact, with: {name: errors.json, data: [1]}}]
"""


def test_all_branches_also_in_processes_that_have_played_nothing_yet(tmp_path: Path) -> None:
    one = "rehearsal: {}\nplaybook: shop/notes\nexpect: {{run: succeeded}}\n"
    (tmp_path / "two.rehearsal.yaml").write_text(f"{one.format('a')}---\n{one.format('b')}")
    done = subprocess.run(
        [sys.executable, "-c", FRESH, tmp_path, NOTES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    found = json.loads(done.stdout)
    assert [one["name"] for one in found] == ["a", "b"]
    for one in found:
        assert one["differing"] == []
        assert one["branched"] == one["same"] + one["honest"] > 10


def test_beside_another_thread_nothing_branches(ground: Ground, tmp_path: Path) -> None:
    """It may hold a lock that a child would wait for: so it is where a progress bar is drawn."""
    rehearsal = read(tmp_path, REHEARSAL)
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with suite.prepared(ground, [rehearsal]) as service:
            first = undisturbed(ground, rehearsal, service)
            assert grow(ground, rehearsal, service, dict(enumerate(first.troubles))) == {}
    finally:
        over.set()
        other.join()


def test_what_a_run_makes_is_called_the_same_each_time(ground: Ground, tmp_path: Path) -> None:
    """Its name comes from the run's id; another one would be another world."""
    rehearsal = read(tmp_path, MAKING)
    with suite.prepared(ground, [rehearsal]) as service:
        first, second = (undisturbed(ground, rehearsal, service).end for _ in range(2))
    assert judged(first, second) == ("same", "")
    assert [change for change in first.changes if "shop/Job/nightly-" in change]


def test_worlds_that_live_outside_the_process_do_not_branch(ground: Ground, tmp_path: Path) -> None:
    assert not branches(ground, read(tmp_path, ELSEWHERE))
