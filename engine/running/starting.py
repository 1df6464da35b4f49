"""Creating runs, each with its own frozen copy of the playbook; finding them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, NotFound
from engine.domain.ids import new_id
from engine.domain.people import Actor
from engine.domain.run import RunMode, RunState
from engine.journal.rows import MeasureRow, RunRow
from engine.journal.store import Store, Tx
from engine.language.program import Program
from engine.planning.fold import fold
from engine.planning.inputs import checked_inputs
from engine.planning.progress import RunProgress
from engine.planning.scope import without_marks
from engine.running.requests import RunRequest


class Starting:
    """What commands share: the store, the loaded playbooks, the runs.

    Attributes:
        name_run: gives the id of a run that a transaction is about to create.
    """

    def __init__(
        self, store: Store, playbooks: Callable[[], Mapping[str, Program]], node: str = "local"
    ) -> None:
        self._store = store
        self._playbooks = playbooks
        self._chain = f"node:{node}"
        self.name_run: Callable[[Tx], str] = lambda _tx: new_id("run")

    def create_run(self, tx: Tx, request: RunRequest) -> str:
        """Create a queued run with its own frozen copy of the playbook; return its id.

        Raises:
            NotFound: no such playbook. InvalidInput: the inputs do not fit its schema.
        """
        program = self._program(request.playbook)
        inputs = checked_inputs(program, request.inputs)
        return self.create(tx, program, inputs, request, None)

    def start(
        self,
        playbook: str,
        inputs: Mapping[str, Any],
        *,
        requester: Actor,
        mode: RunMode = RunMode.APPROVE,
        priority: int = 5,
        rule: str | None = None,
        alert: JsonObject | None = None,
        trigger: JsonObject | None = None,
        incident_id: str | None = None,
        group: str | None = None,
    ) -> str:
        """Start a run on a person's word; return its id. Raises as `create_run`."""
        request = RunRequest(
            playbook=playbook,
            inputs=dict(inputs),
            rule=rule,
            alert=alert,
            trigger=trigger or {"kind": "manual"},
            mode=mode,
            priority=priority,
            requester=requester,
            incident_id=incident_id,
            group=group,
        )
        return self._store.write(lambda tx: self.create_run(tx, request))

    def _program(self, name: str) -> Program:
        programs = self._playbooks()
        if name in programs:
            return programs[name]
        import difflib

        near = difflib.get_close_matches(name, programs, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise NotFound(f"there is no playbook {name!r}{hint}")

    def create(
        self,
        tx: Tx,
        program: Program,
        inputs: JsonObject,
        request: RunRequest,
        parent: str | None,
    ) -> str:
        frozen = program.frozen_digest
        run_id = self.name_run(tx)
        inputs = without_marks(inputs)
        trigger = without_marks({"kind": "manual", **request.trigger})
        if request.alert is not None:
            trigger["alert"] = without_marks(request.alert)
        tx.blobs.put_program(frozen, program.frozen_text)
        tx.runs.create(
            RunRow(
                id=run_id,
                playbook=program.playbook,
                program=frozen,
                rule=request.rule,
                incident_id=request.incident_id,
                state=RunState.QUEUED,
                mode=request.mode,
                priority=request.priority,
                inputs=inputs,
                trigger=trigger,
                requester=request.requester.name,
                created_at=tx.now(),
                ended_at=None,
                epoch=0,
                owner=None,
                reason="",
                group=request.group,
                parent=parent,
            )
        )
        body: JsonObject = {
            "playbook": program.playbook,
            "program": frozen,
            "revision": program.revision,
            "rule": request.rule,
            "inputs": inputs,
            "mode": request.mode.value,
            "priority": request.priority,
            "requester": request.requester.name,
            "via": request.requester.via,
            "parent": parent,
            "incident": request.incident_id,
        }
        if request.cooldown:
            body["cooldown"] = request.cooldown
        if request.alert is not None:
            body["alert"] = request.alert.get("id") or request.alert.get("fingerprint")
        tx.journal.append(run_id, [Entry("run.created", body)], new=True)
        tx.measures.add([MeasureRow("run.began", run_id)])
        return run_id

    def find_run(self, tx: Tx, text: str) -> RunRow:
        """Return the run that `text` names: an id, or a unique beginning or end of one.

        Raises:
            NotFound: none. InvalidInput: several; the message lists them.
        """
        row = tx.runs.get(text)
        if row is not None:
            return row
        found = tx.runs.find(text)
        if not found:
            raise NotFound(f"there is no run {text!r}; stanch runs lists them")
        if len(found) > 1:
            names = ", ".join(item.id for item in found)
            raise InvalidInput(f"{text!r} may be several runs: {names}; write more of the id")
        return found[0]

    def tell(self, tx: Tx, run_id: str, *entries: Entry) -> None:
        tx.journal.append(run_id, list(entries))
        tx.runs.wake(run_id)

    def progress(self, tx: Tx, row: RunRow) -> tuple[RunProgress, Program]:
        progress = RunProgress(state=row.state)
        for entry in tx.journal.read(row.id):
            fold(progress, entry.kind, entry.body, entry.at, entry.n)
        text = tx.blobs.program(row.program)
        if text is None:
            raise NotFound(f"the frozen playbook of {row.id} is not in the journal")
        return progress, Program.model_validate_json(text)
