"""Planning inside a run: at its beginning, and again for what remains of it."""

from __future__ import annotations

from dataclasses import replace

from engine.journal.rows import RunRow
from engine.language.program import Program, RestoreNode
from engine.planning.document import PlanDocument, PlanStep
from engine.planning.progress import RunProgress, StepStatus
from engine.planning.scope import RunFacts
from engine.running.changes import changes_of, override_of, source_changes, source_of
from engine.running.conflicts import conflicts_of, images_of, wanted_changes
from engine.running.services import Services
from engine.running.session import Session


def progress_for(services: Services, session: Session) -> RunProgress:
    """The progress to plan on; an undo run's changes are those of the run that it undoes."""
    changes = source_changes(services, session)
    if changes is session.progress.changes:
        return session.progress
    return replace(session.progress, changes=changes)


def first_plan(services: Services, session: Session) -> PlanDocument:
    """Plan the whole run; the reads that this carries out are journalled and not repeated."""
    row = session.row
    document, reads = services.planner.plan(
        session.program,
        row.inputs,
        session.facts,
        progress_for(services, session),
        mode=row.mode.value,
        revision=row.program,
    )
    for done in reads:
        session.spent.add(done.address, done.cpu)
        session.note(
            "step.outcome",
            address=done.address,
            state="succeeded" if done.ok else "failed",
            output=done.output,
            category=done.category.value if done.category else None,
            message=done.message,
            frozen=True,
        )
    return _with_conflicts(services, session, document)


def replan(services: Services, session: Session, skip: str | None = None) -> PlanDocument:
    """Plan what remains of a run under way; reads stay as they were frozen.

    Args:
        skip: the address of a gate that is being decided: the plan is of what lies behind it.
    """
    with session.lock:  # steps side by side journal from their own threads
        progress = progress_for(services, session).copy()
    if skip is not None and skip in progress.steps:
        progress.set(skip, StepStatus.SUCCEEDED, known=False)
    document, _ = services.planner.plan(
        session.program,
        session.row.inputs,
        session.facts,
        progress,
        mode=session.row.mode.value,
        revision=session.row.program,
        reads=False,
    )
    return _with_conflicts(services, session, document)


# ---------------------------------------------------------------- the way back


def preview_undo(
    services: Services, program: Program, source: RunRow, override: str
) -> PlanDocument:
    """Plan the way back of `source` without a run of its own."""
    progress = RunProgress(changes=changes_of(services, source.id))
    facts = RunFacts(trigger={"kind": "undo", "labels": {}, "annotations": {}}, run={})
    document, _ = services.planner.plan(
        program, {}, facts, progress, mode="approve", revision=program.frozen_digest
    )
    return _annotated(services, document, program, source.id, override)


def _with_conflicts(services: Services, session: Session, document: PlanDocument) -> PlanDocument:
    source = source_of(session)
    if source == session.row.id:
        return document
    return _annotated(services, document, session.program, source, override_of(session))


def _annotated(
    services: Services, document: PlanDocument, program: Program, source: str, override: str
) -> PlanDocument:
    """Name in the plan of an undo what others changed since: what people approve is that, too."""
    nodes = {node.id: node for node in program.steps if isinstance(node, RestoreNode)}
    steps = [
        _annotate(services, step, nodes[step.address], source, override)
        if step.address in nodes and step.state == "restore"
        else step
        for step in document.steps
    ]
    return replace(document, steps=tuple(steps))


def _annotate(
    services: Services, step: PlanStep, node: RestoreNode, source: str, override: str
) -> PlanStep:
    changes = wanted_changes(services, source, node.restore)
    images, lost = images_of(services, source, changes)
    found = conflicts_of(services, changes, images)
    detail = {**step.detail, "conflicts": {name: list(text) for name, text in found.items()}}
    if lost:
        detail["lost"] = dict(lost)
    if override:
        detail["override"] = override
    return replace(step, detail=detail)
