"""Chaos that branches off one performance comes to the ends of performances that are played by themselves."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.contract.registry import load_registry
from engine.edges.rehearsal import suite
from engine.edges.rehearsal.branching import Grown, branches, grow
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
KILLED = """
playbook: shop/killed
steps: [{id: scale, action: shop.scale, with: {connection: cluster, namespace: shop, name: web, replicas: 2}}]
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
        grown = {n: end for one in side_by_side(growing, 2) for n, end in one.ends.items()}
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


def apart(script: str, folder: Path) -> Any:
    """Return what a script tells, run in a process of its own that is given the folder and the playbook."""
    done = subprocess.run(
        [sys.executable, "-c", script, folder, NOTES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return json.loads(done.stdout)


def test_all_branches_also_in_processes_that_have_played_nothing_yet(tmp_path: Path) -> None:
    one = "rehearsal: {}\nplaybook: shop/notes\nexpect: {{run: succeeded}}\n"
    (tmp_path / "two.rehearsal.yaml").write_text(f"{one.format('a')}---\n{one.format('b')}")
    found = apart(FRESH, tmp_path)
    assert [one["name"] for one in found] == ["a", "b"]
    for one in found:
        assert one["differing"] == []
        assert one["branched"] == one["same"] + one["honest"] > 10


# Memory may be short for a copy of the process while all else goes on.
REFUSED = """
import json, os, sys
from pathlib import Path
from engine.domain.errors import StanchError
from engine.edges.cli.render.rehearsals import disturbed
from engine.edges.rehearsal import suite
from engine.edges.rehearsal.chaos import disturb
from tests.refusals import refuse_forks
from tests.unit.edges.rehearsal.kit import make_ground
folder = Path(sys.argv[1])
ground = make_ground(folder, {"shop/notes": sys.argv[2]})
found = suite.find([folder / "one.rehearsal.yaml"])
with suite.prepared(ground, found) as service:
    (free,) = disturb(ground, found, service, jobs=1, worth=0)
    refuse_forks()
    opened = len(os.listdir("/proc/self/fd"))
    (refused,) = disturb(ground, found, service, jobs=1, worth=0)
    left = len(os.listdir("/proc/self/fd")) - opened
    try:
        list(disturb(ground, found * 2, service, jobs=2))
    except StanchError as error:
        told = str(error)
texts = [disturbed([one]).plain for one in (free, refused)]
print(json.dumps({"chaos": [free.as_json(), refused.as_json()], "texts": texts, "told": told, "left": left}))
"""


def test_where_the_system_forks_no_more_the_same_is_found_and_it_is_told(tmp_path: Path) -> None:
    one = "rehearsal: a\nplaybook: shop/notes\nexpect: {run: succeeded}\n"
    (tmp_path / "one.rehearsal.yaml").write_text(one)
    seen, why = apart(REFUSED, tmp_path), os.strerror(errno.ENOMEM)
    free, refused = seen["chaos"]
    assert (free["branched"], free["refused"]) == (free["same"] + free["honest"], None)
    assert (refused["branched"], refused["refused"]) == (0, why)
    for name in ("ok", "undisturbed", "same", "honest", "differing"):
        assert refused[name] == free[name], name
    assert why not in seen["texts"][0]
    all_of_them = f"{free['branched']} of them were played from the beginning, which takes longer"
    assert f"{all_of_them}: no process could be forked ({why})" in seen["texts"][1]
    assert seen["left"] == 0  # open files of the attempt
    # With --jobs processes are what was asked for: without them the command says what to do.
    assert seen["told"].startswith(f"no process can be forked: {why}. ")
    assert "--jobs 1" in seen["told"]


KINDS = {"effect", "happened", "slow"}  # enough to be killed, and not
KILLING = """
import os, signal
from actions.kubernetes.scale import KubernetesScale

class Scale(KubernetesScale):
    name = "shop.scale"

    def confirm(self, planned, receipt, world, key):
        if receipt is None:  # asked after a failure or a crash, never undisturbed
            os.kill(os.getpid(), signal.SIGKILL)
        return super().confirm(planned, receipt, world, key)

DECLARATIONS = (Scale,)
"""


def killed(folder: Path) -> dict[str, tuple[str, str]]:
    """Play with branches that kill themselves; return each trouble's verdict, by its name."""
    (folder / "plugins").mkdir()
    (folder / "plugins" / "shop.py").write_text(KILLING)
    registry = load_registry([folder / "plugins"])
    ground = make_ground(folder, {"shop/killed": KILLED}, registry)
    rehearsal = read(folder, REHEARSAL.replace("mistaken", "killed"))
    with suite.prepared(ground, [rehearsal]) as service:
        first = undisturbed(ground, rehearsal, service)
        troubles = {n: one for n, one in enumerate(first.troubles) if one.kind in KINDS}
        grown = grow(ground, rehearsal, service, troubles)
    assert sorted(grown.ends) == sorted(troubles)
    return {str(one): judged(first.end, grown.ends[n]) for n, one in troubles.items()}


# In a process of its own: where another test left a thread or an open file, nothing branches.
KILLED_APART = """
import json, sys
from pathlib import Path
from tests.unit.edges.rehearsal.test_branching import killed
print(json.dumps(killed(Path(sys.argv[1]))))
"""


def test_a_branch_that_is_killed_never_passes_and_the_others_go_on(tmp_path: Path) -> None:
    """As the system does where memory runs out: it may hit any of them, at any moment."""
    verdicts = {name: tuple(verdict) for name, verdict in apart(KILLED_APART, tmp_path).items()}
    why = "its process was killed by SIGKILL, as the system does where memory runs out"
    hit = {f"the engine dies {when} effect 1 (scale)" for when in ("before", "after")}
    hit.add("the effect of scale happens and its call fails once")
    assert {name for name, verdict in verdicts.items() if verdict == ("differs", why)} == hit
    # What the killed left is none of theirs.
    assert {verdicts[name] for name in verdicts.keys() - hit} == {("same", "")}
    assert len(verdicts) > len(hit)


def test_beside_another_thread_nothing_branches(ground: Ground, tmp_path: Path) -> None:
    """It may hold a lock that a child would wait for: so it is where a progress bar is drawn."""
    rehearsal = read(tmp_path, REHEARSAL)
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with suite.prepared(ground, [rehearsal]) as service:
            first = undisturbed(ground, rehearsal, service)
            grown = grow(ground, rehearsal, service, dict(enumerate(first.troubles)))
            assert grown == Grown({})  # and the system refused nothing
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
