"""Partial recovery: what failed of a batch becomes a batch of its own, and nothing else of the run is repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, NotFound, Refused
from engine.domain.people import Actor
from engine.domain.run import ENDS, RunMode
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from engine.language.program import ActionNode, AnyNode, Node, Program
from engine.language.templates import expression_references, references
from engine.planning.addresses import find_node
from engine.planning.progress import RunProgress, StepState, StepStatus
from engine.running.requests import RunRequest
from engine.running.starting import Starting

ITEMS = "recovered_items"  # the input that hands them over, so that no text of theirs is read as a template
SIGNAL = "recover"
KIND = "recovery"
_CONDITIONS = frozenset({"when", "until"})


@dataclass(frozen=True)
class Failed:
    """What failed of one foreach and was not recovered yet: the items as they were, by their keys."""

    step: str
    node: Node
    items: Mapping[str, Json]


class Recovering(Starting):
    """Starts recovery runs."""

    def recover(self, run_id: str, actor: Actor, step: str | None = None) -> JsonObject:
        """Start a run over just those items of an ended run's foreach that failed; return its id.

        It carries the items over exactly as they were, and takes from the playbook the foreach and the
        reads that it names, which read the world as it is now. What succeeded, in the run or in an earlier
        recovery of it, is not in it. It is gated like any other, and the two runs name each other. The
        recovery of a recovery is one of the first run.

        Args:
            step: the foreach; None: the only one of which something failed.

        Raises:
            Refused: the run or an earlier recovery of it is under way, nothing failed, the items need
                what only another step of that run made, or one of them had changed something already.
            InvalidInput: several have failed items and none is named.
        """

        def work(tx: Tx) -> JsonObject:
            row = self._first(tx, self.find_run(tx, run_id))
            if row.state not in ENDS or row.ended_at is None:
                raise Refused(
                    f"run {row.id} is {row.state.value}: it must end before it is recovered"
                )
            progress, program = self.progress(tx, row)
            failed = self._failed(tx, row, progress, program, step)
            created = self._begin(tx, row, actor, _recovery(row, program, progress, failed), failed)
            return {
                "run": created,
                "recovers": row.id,
                "step": failed.step,
                "items": len(failed.items),
            }

        return self._store.write(work)

    def _first(self, tx: Tx, row: RunRow) -> RunRow:
        """The run whose batch it is: of a recovery the one that it recovers, so that nothing is done by two."""
        while row.trigger.get("kind") == KIND:
            row = self.find_run(tx, row.trigger["run"])
        return row

    def _begin(self, tx: Tx, row: RunRow, actor: Actor, program: Program, failed: Failed) -> str:
        trigger = {name: value for name, value in row.trigger.items() if name != "plan"}
        request = RunRequest(
            playbook=program.playbook,
            trigger={**trigger, "kind": KIND, "run": row.id, "step": failed.step},
            mode=RunMode.APPROVE,
            priority=row.priority,
            requester=actor,
            incident_id=row.incident_id,
        )
        inputs = {**row.inputs, ITEMS: list(failed.items.values())}
        created = self.create(tx, program, inputs, request, None)
        body: JsonObject = {"signal": SIGNAL, "actor": actor.name, "via": actor.via, "run": created}
        body |= {
            "step": failed.step,
            "keys": list(failed.items),
            "reason": f"recovered by {created}",
        }
        tx.journal.append(row.id, [Entry("run.signal", body)])  # it has ended: nothing wakes it
        tx.pages.seen(row.id, actor.name, f"recovered by {created}")
        return created

    def _failed(
        self, tx: Tx, row: RunRow, progress: RunProgress, program: Program, step: str | None
    ) -> Failed:
        batches = {
            address: state
            for address, state in progress.steps.items()
            if isinstance(state.data.get("items"), list)
        }
        if step is not None and step not in batches:
            known = ", ".join(batches) or "none"
            raise NotFound(f"run {row.id} has no foreach {step!r}; it has: {known}")
        done = self._recovered(tx, row)
        found = []
        for address in batches if step is None else [step]:
            items = _failed_items(progress, address, batches[address], done.get(address, set()))
            if items:
                found.append(Failed(address, find_node(program, address), items))
        if not found:
            raise Refused(f"nothing of run {row.id} failed that was not recovered since")
        if len(found) > 1:
            names = ", ".join(one.step for one in found)
            raise InvalidInput(f"several batches of run {row.id} have failures: {names}; name one")
        _refuse_halves(row, progress, found[0])
        return found[0]

    def _recovered(self, tx: Tx, row: RunRow) -> dict[str, set[str]]:
        """The keys of items, by step, that recoveries of the run have done."""
        done: dict[str, set[str]] = {}
        for body in recoveries(tx, row.id):
            step, keys = body["step"], body["keys"]
            child = self.find_run(tx, body["run"])
            if child.ended_at is None:
                raise Refused(
                    f"run {child.id} recovers run {row.id} just now; it is {child.state.value}"
                )
            progress, _ = self.progress(tx, child)
            state = progress.steps.get(step)
            for key, own in zip(keys, _keys(state), strict=False):
                one = progress.steps.get(f"{step}[{own}]")
                if one is not None and one.status is StepStatus.SUCCEEDED:
                    done.setdefault(step, set()).add(key)
        return done


def recoveries(tx: Tx, run_id: str) -> list[JsonObject]:
    """Return what was journalled of each recovery of a run: `run, step, keys, actor`."""
    return [
        entry.body
        for entry in tx.journal.read(run_id)
        if entry.kind == "run.signal" and entry.body.get("signal") == SIGNAL
    ]


def _refuse_halves(row: RunRow, progress: RunProgress, failed: Failed) -> None:
    """Raises Refused where an item had changed something before it failed: that would be done twice."""
    for key in failed.items:
        item = f"{failed.step}[{key}]"
        for change in progress.changes:
            if not change.undone and (
                change.address == item or change.address.startswith(f"{item}.")
            ):
                raise Refused(
                    f"item {key!r} had made the change {change.address} before it failed, which a recovery "
                    f"would make again; take it back first: stanch undo {row.id} --step '{item}'"
                )


def _keys(state: StepState | None) -> list[str]:
    return [] if state is None else [str(item["key"]) for item in state.data.get("items", [])]


def _failed_items(
    progress: RunProgress, address: str, batch: StepState, done: set[str]
) -> dict[str, Json]:
    return {
        str(item["key"]): item["item"]
        for item in batch.data["items"]
        if (one := progress.steps.get(f"{address}[{item['key']}]")) is not None
        and one.status is StepStatus.FAILED
        and str(item["key"]) not in done
    }


def _recovery(row: RunRow, program: Program, progress: RunProgress, failed: Failed) -> Program:
    """The playbook, cut down to the foreach over these items and the reads that it names."""
    if "." in failed.step or "[" in failed.step:
        raise Refused(
            f"{failed.step} belongs to a sub-playbook or to an item; only a batch of "
            f"{program.playbook} itself can be recovered"
        )
    node: Any = failed.node
    each = node.foreach.model_copy(update={"items": f"{{{{ inputs.{ITEMS} }}}}"})
    kept = _reads_for(program, progress, node)
    schema = dict(program.inputs)
    schema["properties"] = {**schema.get("properties", {}), ITEMS: {"type": "array"}}
    return program.model_copy(
        update={
            "steps": (*kept, node.model_copy(update={"foreach": each})),
            "summary": f"Recover {len(failed.items)} failed items of {failed.step} of {row.id}",
            "inputs": schema,
            "rescue": (),
            "finally_": (),
            "outputs": {},
            "postmortem_due": None,
        }
    )


def _reads_for(program: Program, progress: RunProgress, node: AnyNode) -> list[AnyNode]:
    """Return the reads that a step names, and those that they name, in their order.

    Raises:
        Refused: it names a step that is no read: what that one made is not made again.
    """
    own = {one.id for one in _nodes(node)}
    wanted, kept = _named(node) - own, set()
    while wanted:
        name = wanted.pop()
        state = progress.steps.get(name)
        read = next((one for one in program.steps if one.id == name), None)
        if not isinstance(read, ActionNode) or read.foreach or state is None or state.planned:
            raise Refused(
                f"its items need what step {name!r} gave, which is no read that could be made again; "
                f"run {program.playbook} again instead"
            )
        kept.add(name)
        wanted |= _named(read) - kept
    return [one for one in program.steps if one.id in kept]


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in getattr(node, "steps", ()):
        yield from _nodes(child)


def _named(node: Node) -> set[str]:
    """The steps that the templates and conditions of a step name."""
    return set(_steps_in(node.model_dump(mode="json", by_alias=True)))


def _steps_in(value: Json, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in (
                "program",
                "items",
            ):  # a sub-playbook has steps of its own; the items are given
                yield from _steps_in(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _steps_in(item)
    elif isinstance(value, str):
        found = expression_references(value) if name in _CONDITIONS else references(value)
        yield from found.steps
