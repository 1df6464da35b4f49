"""The way back as a run of its own: undo of a run, and of an undo."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor
from engine.domain.run import ENDS, RunMode
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from engine.language.program import Program
from engine.planning.progress import ChangeState
from engine.running.changes import UNDO_PLAYBOOK, named, undo_program
from engine.running.redoing import redo_program, taken_back
from engine.running.requests import RunRequest
from engine.running.starting import Starting


class WayBack(Starting):
    """Starts undo runs."""

    def undo(
        self, run_id: str, actor: Actor, steps: Sequence[str] = (), override: str = ""
    ) -> JsonObject:
        """Plan the way back of an ended run as a run of its own, gated like any other; return its id.

        Args:
            steps: addresses; a foreach's or a sub-playbook's stands for all inside it. None: all.
            override: why what others changed since is restored as well; empty: it is a conflict.

        Raises:
            Refused: the run is still under way, or there is nothing to undo.
            InvalidInput: a step that changed nothing is named.
        """

        def work(tx: Tx) -> JsonObject:
            row = self.find_run(tx, run_id)
            program, inputs, addresses = self._way_back(tx, row, steps)
            trigger: JsonObject = {"kind": "undo", "run": row.id}
            if override:
                trigger["override"] = override
            request = RunRequest(
                playbook=program.playbook,
                trigger=trigger,
                mode=RunMode.APPROVE,
                priority=row.priority,
                requester=actor,
                incident_id=row.incident_id,
            )
            created = self.create(tx, program, inputs, request, row.id)
            return {"run": created, "undoes": row.id, "steps": addresses}

        return self._store.write(work)

    def way_back(self, run_id: str, steps: Sequence[str] = ()) -> tuple[Program, JsonObject]:
        """Return the program, with its inputs, that `undo` would run. Raises as `undo`."""

        def work(tx: Tx) -> tuple[Program, JsonObject]:
            program, inputs, _ = self._way_back(tx, self.find_run(tx, run_id), steps)
            return program, inputs

        return self._store.read(work)

    def _way_back(
        self, tx: Tx, row: RunRow, steps: Sequence[str]
    ) -> tuple[Program, JsonObject, list[str]]:
        if row.state not in ENDS:
            raise Refused(f"run {row.id} is {row.state.value}; cancel it first, then undo it")
        if row.playbook == UNDO_PLAYBOOK and row.parent is not None:
            return self._again(tx, row, row.parent, steps)
        progress, _ = self.progress(tx, row)
        changed = [change for change in progress.changes if not change.undone]
        if not changed:
            raise Refused(f"run {row.id} has no change that is still in force")
        addresses = _chosen(row, changed, steps)
        return undo_program(row.id, steps), {}, addresses

    def _again(
        self, tx: Tx, undo: RunRow, source_id: str, steps: Sequence[str]
    ) -> tuple[Program, JsonObject, list[str]]:
        source = self.find_run(tx, source_id)
        progress, _ = self.progress(tx, source)
        keys = set(taken_back(tx, undo))
        back = [change for change in progress.changes if change.key in keys]
        addresses = _chosen(undo, back, steps) if back else []
        program, inputs = redo_program(tx, undo, progress.changes, addresses if steps else ())
        return program, inputs, addresses


def _chosen(row: RunRow, changes: Sequence[ChangeState], steps: Sequence[str]) -> list[str]:
    """Return the addresses that `steps` name.

    Raises:
        InvalidInput: one of them names none.
    """
    changed = sorted({change.address for change in changes})
    for step in steps:
        if not any(named(address, [step]) for address in changed):
            raise InvalidInput(
                f"step {step!r} of {row.id} has no change in force; these have: {', '.join(changed)}"
            )
    return [address for address in changed if not steps or named(address, steps)]
