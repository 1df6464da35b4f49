"""Whatever people do at a gate, in whatever order, no run gets through without its quorum on the plan they saw."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.domain.errors import Refused
from engine.domain.people import Actor
from engine.domain.run import RunMode, RunState
from engine.running.services import ApprovalRule
from tests.harness import Harness
from tests.harness_programs import program, setting
from tests.toys import Table

PEOPLE = tuple(Actor(name, frozenset({"sre"})) for name in ("ann", "ben", "cy", "di"))
ASKER = PEOPLE[3]
OUTSIDER = Actor("eve", frozenset({"viewer"}))
QUORUM = 2
PLAN = program(setting("up", "x", 100), playbook="toys/votes")


class Votes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.table = Table(x=0)
        self.h = Harness(self.folder, self.table)
        self.h.services.approval = ApprovalRule(
            "sre", QUORUM, 600.0, on_timeout="escalate", escalation=("sre",)
        )
        self.run = self.h.start(PLAN, RunMode.APPROVE, ASKER)
        self.h.settle()
        self.yes: set[str] = set()  # who approved what the newest gate shows
        self.gate = ""
        self.look()

    def look(self) -> None:
        """Look at the newest gate; what was voted at another one counts no more."""
        gates = self.h.store.read(lambda tx: tx.gates.of_run(self.run))
        if gates[-1].id != self.gate:
            self.gate, self.fingerprint, self.yes = gates[-1].id, gates[-1].fingerprint, set()

    def act(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except Refused:
            return False
        return True

    @rule(who=st.sampled_from((*PEOPLE, OUTSIDER)))
    def approve(self, who: Actor) -> None:
        ok = self.act(lambda: self.h.commands.approve(self.gate, who, "", self.fingerprint))
        if ok:
            assert who not in {ASKER, OUTSIDER}
            self.yes.add(who.name)

    @rule(who=st.sampled_from(PEOPLE))
    def withdraw(self, who: Actor) -> None:
        if self.act(lambda: self.h.commands.withdraw(self.gate, who)):
            self.yes.discard(who.name)

    @rule(who=st.sampled_from(PEOPLE))
    def reject(self, who: Actor) -> None:
        if self.act(lambda: self.h.commands.reject(self.gate, who)):
            self.yes.clear()

    @precondition(lambda self: not self.table.writes)
    @rule(value=st.integers(0, 2))
    def drift(self, value: int) -> None:
        self.table.values["x"] = value

    @rule(seconds=st.sampled_from((100, 700)))
    def wait(self, seconds: int) -> None:
        self.h.clock.advance(seconds)

    @rule()
    def engine_runs(self) -> None:
        had = len(self.yes)
        self.h.settle()
        if self.table.writes and not self.passed:
            assert had >= QUORUM
            self.passed = True
        self.look()

    passed = False

    @invariant()
    def nothing_is_done_unless_it_passed(self) -> None:
        if self.table.writes:
            assert self.passed
            assert self.h.row(self.run).state is RunState.SUCCEEDED

    def teardown(self) -> None:
        self.h.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)


TestVotes = Votes.TestCase
TestVotes.settings = settings(max_examples=15, stateful_step_count=16, deadline=None)
