"""Which changes there are to undo: of a run, of its temporary steps, of another run."""

from __future__ import annotations

from collections.abc import Sequence

from engine.language.program import (
    ActionNode,
    CallNode,
    GroupNode,
    Node,
    ParallelNode,
    Program,
    RestoreNode,
    SwitchNode,
)
from engine.planning.addresses import find_node
from engine.planning.fold import fold
from engine.planning.progress import ChangeState, RunProgress
from engine.running.services import Services
from engine.running.session import Session

UNDO_PLAYBOOK = "undo"


def of_scope(session: Session, scope: str) -> list[ChangeState]:
    """Return the changes that an automatic undo takes back.

    Args:
        scope: `run` (all, but those marked `undo: never`) or `temporary` (what restore steps name).
    """
    program = session.program
    if scope == "temporary":
        names = _restored(program, "")
        return [item for item in session.progress.changes if named(item.address, names)]
    return [item for item in session.progress.changes if not _never(program, item.address)]


def _never(program: Program, address: str) -> bool:
    try:
        node = find_node(program, address)
    except KeyError:
        return False
    return isinstance(node, ActionNode) and node.undo == "never"


def named(address: str, names: Sequence[str]) -> bool:
    return any(address == name or address.startswith((f"{name}[", f"{name}.")) for name in names)


def _restored(program: Program, prefix: str) -> list[str]:
    """Addresses that restore steps name, anywhere in the program."""
    found: list[str] = []

    def visit(nodes: Sequence[Node]) -> None:
        for node in nodes:
            if isinstance(node, RestoreNode):
                found.extend(prefix + name for name in node.restore)
            elif isinstance(node, GroupNode | ParallelNode):
                visit(node.steps)
            elif isinstance(node, SwitchNode):
                for case in node.cases:
                    visit(case.steps)
                visit(node.default)
            elif isinstance(node, CallNode):
                found.extend(_restored(node.program, f"{prefix}{node.id}."))

    visit((*program.steps, *program.rescue, *program.finally_))
    return found


def source_of(session: Session) -> str:
    """The run whose changes a restore takes back: the run itself, or the one that an undo run undoes."""
    return (
        session.row.parent
        if session.row.playbook == UNDO_PLAYBOOK and session.row.parent
        else session.row.id
    )


def override_of(session: Session) -> str:
    """Why an undo run restores also what others changed since; empty: it does not."""
    if session.row.playbook != UNDO_PLAYBOOK:
        return ""
    return str(session.row.trigger.get("override") or "")


def source_changes(services: Services, session: Session) -> list[ChangeState]:
    """The changes of the source run that are still in force."""
    source = source_of(session)
    if source == session.row.id:
        return session.progress.changes
    return changes_of(services, source)


def changes_of(services: Services, run_id: str) -> list[ChangeState]:
    """Fold another run's chain and return its changes."""
    progress = RunProgress()
    for entry in services.store.read(lambda tx: tx.journal.read(run_id)):
        fold(progress, entry.kind, entry.body, entry.at, entry.n)
    return progress.changes


def undo_program(run_id: str, steps: Sequence[str]) -> Program:
    """The program of an undo run: one restore step over the changes of `run_id` (none named: all)."""
    return Program(
        playbook=UNDO_PLAYBOOK,
        summary=f"Undo {run_id}",
        steps=(RestoreNode(id="undo", restore=tuple(steps)),),
        revision=run_id,
    )
