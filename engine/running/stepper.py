"""Drives one run: walk, carry the moves out, journal, until it ends or has to wait."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from typing import Any

from engine.domain.errors import StanchError
from engine.domain.run import ENDS, RunMode, RunState
from engine.language.program import ActionNode, EndNode, GateNode, ManualNode, RestoreNode, WaitNode
from engine.language.scope import TemplateError
from engine.language.templates import render
from engine.planning.moves import Begin, Continue, Finish, Move, UndoAll
from engine.planning.scope import scope_of
from engine.planning.walk import Walk
from engine.running.attempts import Attempt
from engine.running.beginning import Beginning
from engine.running.bookkeeping import book, step_outcome
from engine.running.braking import by_itself, holding_window
from engine.running.drifted import beyond_bounds
from engine.running.gates import BUDGET_GATE, PLAN_GATE, close_all, let_go, reask
from engine.running.gatesteps import carry_gate
from engine.running.handing import give_way, handed_back, in_doubt, over_by_now, stepped
from engine.running.judging import judge
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.undoing import carry_restore, carry_undo
from engine.running.waits import Waiting, carry_manual


class Stepper(Beginning):
    """One owner's drive of one run. `drive` returns when the run has ended or waits for something."""

    def drive(self) -> None:
        """Take the run as far as it goes now.

        Raises:
            StaleOwner: another owner has it; nothing more was written.
            StoreUnavailable: the journal cannot be written; what was noted is lost, and is asked about
                (`confirm`) by the next owner.
        """
        progress = self.session.progress
        if progress.ended is not None:
            self._let_go()
            return
        unplanned = progress.state is RunState.HELD and progress.fingerprint is None
        begins = unplanned or progress.state in {RunState.QUEUED, RunState.PLANNING}
        if begins and not self._begin():
            return
        if progress.state in {RunState.FAILED, RunState.NEEDS_HUMAN} and progress.stuck is None:
            self.session.move(RunState.RUNNING, "resumed by a person")
            # Nobody approved an automatic run: its person's retry is for the world as it is now.
            if self.session.row.mode is RunMode.AUTO and not self._settled_plan():
                return
        # Who held the lock has changed what an automatic run was about to change.
        waited = progress.waited and by_itself(self.session) and not progress.interrupted
        if waited and "plan" not in self.session.row.trigger and not self._settled_plan():
            return
        while not self.services.stopping():
            step = self._once()
            if step is not None:
                step()
                return
        self._settle_busy()
        self.session.also(
            lambda tx: tx.runs.release(self.session.row.id, self.session.row.epoch, ready=True)
        )
        self.session.flush()

    # ------------------------------------------------------------ one round

    def _once(self) -> Any:
        """One round. Returns None to go on, or what is to be done last."""
        session, progress = self.session, self.session.progress
        if progress.cancel is not None:
            self._settle_busy()
            close_all(session, "the run is cancelled")
        elif progress.interrupted:
            return self._interrupted()
        else:
            stop = self._own_gates()
            if stop is not None:
                return stop
        with session.lock:  # steps side by side journal from their own threads
            walk = Walk(session.program, progress, session.facts, self.services.clock.now())
            moves = walk.run(session.row.inputs)
        self._deadlines = walk.deadlines
        if beyond_bounds(session, moves) or book(session, moves):
            return None
        finish = next((move for move in moves if isinstance(move, Finish)), None)
        if finish is not None and finish.parks:
            session.note("run.signal", signal="stuck", reason=finish.reason, actor="stanch")
            return None
        if finish is not None:
            return lambda: self._finish(finish)
        self._parked = {}
        if self._carry(moves):
            return None
        return self._park

    def _interrupted(self) -> Any:
        """People, brakes or the world stand in the way of going on."""
        session, progress = self.session, self.session.progress
        if progress.way is not None:
            return self._give_way()
        if progress.stuck is not None:
            return lambda: self._park_as(RunState.NEEDS_HUMAN, progress.stuck or "")
        if progress.hold is not None:
            return self._hold(progress.hold)
        self._settle_busy()
        if progress.handed_back is not None:
            handed_back(self.services, session)
        else:
            reask(self.services, session)
        return None

    def _own_gates(self) -> Any:
        """The gates that the engine itself opened: before the first change, on drift, over a budget."""
        for address in (PLAN_GATE, BUDGET_GATE):
            gate = self.session.progress.gates.get(address)
            if gate is None or gate.state != "open":
                continue
            verdict = judge(self.services, self.session, gate)
            while verdict == "void":
                gate = self.session.progress.gates[address]  # the one that asks again
                verdict = judge(self.services, self.session, gate)
            if verdict is None:
                wake = gate.expires_at
                self._parked = {address: Parked(wake, "approval")}
                return self._park
            if verdict == "rejected":
                reason = f"rejected by {gate.rejected_by}"
                self.session.note("run.signal", signal="cancel", reason=reason)
            elif verdict == "expired" and gate.on_timeout == "escalate":
                reason = "nobody decided in time, and nobody is left to be asked"
                self.session.note("run.signal", signal="stuck", reason=reason)
                return lambda: self._park_as(RunState.NEEDS_HUMAN, reason)
            elif verdict == "expired":
                return lambda: self._finish(Finish(RunState.EXPIRED, "nobody approved in time"))
            elif verdict == "approved":
                self.session.move(RunState.RUNNING, "approved")
        return None

    def _hold(self, reason: str) -> Any:
        """A brake or a person holds the run. What held it may be over by now."""
        session = self.session
        self._settle_busy()
        if over_by_now(self.services, session):
            return None
        if session.progress.taken_by is not None:
            let_go(session, session.progress.taken_by)
        wake = None
        if session.progress.hold_kind == "window":
            window = holding_window(self.services, session, None)
            wake = window.until if window is not None else None
        return lambda: self._park_as(RunState.HELD, reason, wake)

    def _give_way(self) -> Any:
        """An urgent run is to have the locks: settle, undo where that is wanted, let go, stay held."""
        session = self.session
        self._settle_busy()
        for move in in_doubt(session):
            carried = self._leaf(move)
            if isinstance(carried, Parked):
                wake = carried.wake
                return lambda: self._release(wake)
            return None
        way = session.progress.way or {}
        if way["how"] == "undo" and not session.progress.undo_done:
            carry_undo(self.services, session, "run")
            return None
        close_all(session, f"gave way to {way['for']}")
        finish = give_way(session)
        return None if finish is None else lambda: self._finish(finish)

    # ------------------------------------------------------------ carrying out

    def _carry(self, moves: Sequence[Move]) -> bool:
        """Carry moves out; one inline, several side by side. True where anything was journalled."""
        session = self.session
        undo = next((move for move in moves if isinstance(move, UndoAll)), None)
        if undo is not None:
            self._settle_busy()
            carry_undo(self.services, session, undo.scope)
            return True
        todo = [
            move
            for move in moves
            if isinstance(move, Begin | Continue) and move.address not in self._busy
        ]
        if session.progress.stepping is not None and todo:
            return self._one_step(todo)
        if session.progress.state is not RunState.RUNNING and todo:
            self._resume_state(todo)
        if len(todo) == 1 and not self._busy:
            return self._took(todo[0].address, self._leaf(todo[0]))
        for move in todo:
            if isinstance(move.node, ActionNode):
                self._busy[move.address] = self._pool.submit(self._leaf, move)
            elif self._took(move.address, self._leaf(move)):
                return True
        if not self._busy:
            return False
        wait(self._busy.values(), return_when=FIRST_COMPLETED)
        done = [address for address, future in self._busy.items() if future.done()]
        took = [self._took(address, self._busy.pop(address).result()) for address in done]
        return any(took) or bool(self._busy)

    def _one_step(self, todo: Sequence[Begin | Continue]) -> bool:
        """A person wants one step: what is under way before what is new, and then no other."""
        move = next((move for move in todo if isinstance(move, Continue)), todo[0])
        self._resume_state([move])
        took = self._took(move.address, self._leaf(move))
        return stepped(self.session, move.address) or took

    def _resume_state(self, todo: Sequence[Begin | Continue]) -> None:
        """Say that the run runs again, unless it only looks whether its wait is over."""
        idle = all(isinstance(move, Continue) for move in todo)
        if not idle and self.session.progress.state not in ENDS:
            self.session.move(RunState.RUNNING, "going on")

    def _took(self, address: str, carried: Carried) -> bool:
        if isinstance(carried, Parked):
            self._parked[address] = carried
            return False
        return True

    def _leaf(self, move: Begin | Continue) -> Carried:
        services, session = self.services, self.session
        state = move.state if isinstance(move, Continue) else None
        node, address, place = move.node, move.address, move.place
        with session.spent.on(address):
            match node:
                case ActionNode():
                    return Attempt(services, session, address, node, place).carry(state)
                case WaitNode():
                    return Waiting(services, session, address, node, place).carry(state)
                case GateNode():
                    return carry_gate(services, session, address, node, place, state)
                case ManualNode():
                    return carry_manual(services, session, address, node, place, state)
                case RestoreNode():
                    return carry_restore(services, session, address, node, place, state)
                case EndNode():
                    return self._end(address, node, move)
        raise StanchError(f"{address}: no such kind of step: {type(node).__name__}")

    def _end(self, address: str, node: EndNode, move: Begin | Continue) -> Carried:
        try:
            scope = scope_of(move.place, self.session.progress, self.session.facts)
            reason = str(render(node.reason, scope))
        except TemplateError as error:
            reason = f"{node.reason} ({error})"
        step_outcome(self.session, address, ok=True, output=reason, message=reason)
        return PROGRESSED
