"""What people do to one run: hold, release, step, take over and hand back, pre-empt for an urgent one."""

from __future__ import annotations

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor
from engine.domain.run import ENDS, RunState
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from engine.planning.progress import RunProgress
from engine.running.starting import Starting

WAYS = ("hand_over", "undo")


class Steering(Starting):
    """The acts. Each is journalled with its actor in the run's chain and wakes the run."""

    def _steer(
        self, tx: Tx, run: str, actor: Actor, signal: str, reason: str
    ) -> tuple[RunRow, RunProgress]:
        row = self.find_run(tx, run)
        parked = row.state is RunState.NEEDS_HUMAN and row.ended_at is None
        if row.state in ENDS and not parked:
            raise Refused(f"run {row.id} has ended: {row.state.value}; {signal} does not apply")
        progress, _ = self.progress(tx, row)
        taken = progress.taken_by
        if taken is not None and signal != "handback":
            raise Refused(
                f"{taken} has taken run {row.id} over; stanch handback {row.id} comes first"
            )
        body = {"signal": signal, "actor": actor.name, "via": actor.via, "reason": reason}
        self.tell(tx, row.id, Entry("run.signal", body))
        tx.pages.seen(row.id, actor.name, f"{signal}: {reason}")
        return row, progress

    def hold(self, run: str, actor: Actor, reason: str) -> JsonObject:
        """Hold one run before its next effect, until somebody releases it.

        Raises:
            InvalidInput: no reason. Refused: it has ended.
        """
        _need(reason, "say why: --reason; whoever meets the held run reads it")
        return self._store.write(
            lambda tx: _answer(self._steer(tx, run, actor, "hold", reason)[0], "hold")
        )

    def release(self, run: str, actor: Actor, reason: str = "") -> JsonObject:
        """Let a held run go on. What others had changed up to now counts as seen.

        Raises:
            Refused: nothing holds it, or a brake does that must be released itself.
        """

        def work(tx: Tx) -> JsonObject:
            row, progress = self._steer(tx, run, actor, "release", reason)
            if progress.hold is None:
                raise Refused(f"nothing holds run {row.id}; it is {row.state.value}")
            if progress.hold_kind == "brake":
                raise Refused(f"run {row.id} is {progress.hold}; stanch resume releases all")
            return _answer(row, "release")

        return self._store.write(work)

    def step(self, run: str, actor: Actor) -> JsonObject:
        """Do exactly one step, then hold again.

        Raises:
            Refused: the run has ended, or is taken over.
        """
        return self._store.write(
            lambda tx: _answer(self._steer(tx, run, actor, "step", "one step")[0], "step")
        )

    def takeover(self, run: str, actor: Actor, reason: str) -> JsonObject:
        """Take the run out of the engine's hands: it does nothing more, its locks stay, its gates close.

        Raises:
            InvalidInput: no reason. Refused: it has ended, or somebody else has it.
        """
        _need(reason, "say what you are going to do: --reason; others read it")
        return self._store.write(
            lambda tx: _answer(self._steer(tx, run, actor, "takeover", reason)[0], "takeover")
        )

    def handback(self, run: str, actor: Actor, note: str) -> JsonObject:
        """Give the run back: the plan is made anew, and what differs is shown and asked about.

        Raises:
            InvalidInput: no note. Refused: nobody has taken it over.
        """
        _need(note, "say what you did: --note; the run goes on from there")

        def work(tx: Tx) -> JsonObject:
            row, progress = self._steer(tx, run, actor, "handback", note)
            if progress.taken_by is None:
                raise Refused(f"nobody has taken run {row.id} over; it is {row.state.value}")
            return _answer(row, "handback")

        return self._store.write(work)

    def preempt(self, run: str, actor: Actor, reason: str, how: str = "hand_over") -> JsonObject:
        """Make the holders of locks give way to an urgent run.

        Args:
            run: the run that waits for a lock, or the one that holds it.
            how: `hand_over`: the holder is held and lets go of its locks; `undo`: its changes are undone
                first.

        Returns:
            `{run, for, holders}`.

        Raises:
            Refused: it neither waits for a lock nor stands in the way of one that does.
        """
        _need(reason, "say why: --reason; whoever started the other run reads it")
        if how not in WAYS:
            raise InvalidInput(f"{how!r} is no way to give way; there are {' and '.join(WAYS)}")

        def work(tx: Tx) -> JsonObject:
            row = self.find_run(tx, run)
            urgent, holders = _in_the_way(tx, row)
            for holder in holders:
                body: JsonObject = {"signal": "preempt", "actor": actor.name, "via": actor.via}
                body |= {"reason": reason, "for": urgent, "how": how}
                self.tell(tx, holder, Entry("run.signal", body))
            tx.pages.seen(urgent, actor.name, f"pre-empted {', '.join(holders)}: {reason}")
            return {"run": urgent, "for": urgent, "holders": holders, "how": how}

        return self._store.write(work)


def _in_the_way(tx: Tx, row: RunRow) -> tuple[str, list[str]]:
    """Return the run that waits, and the runs that hold what it waits for."""
    holders = sorted(set(tx.locks.holders(row.id).values()) - {row.id})
    if holders:
        return row.id, holders
    held = {target for target, holder in tx.locks.held().items() if holder == row.id}
    waiting = [
        found
        for target, waiter in tx.locks.waiting()
        if target in held and (found := tx.runs.get(waiter)) is not None
    ]
    if not waiting:
        raise Refused(f"run {row.id} waits for no lock, and nothing waits for one of its locks")
    first = min(waiting, key=lambda one: (-one.priority, one.created_at))
    return first.id, [row.id]


def _answer(row: RunRow, signal: str) -> JsonObject:
    return {"run": row.id, "signal": signal}


def _need(text: str, hint: str) -> None:
    if not text.strip():
        raise InvalidInput(hint)
