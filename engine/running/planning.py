"""Planning inside a run: at its beginning, and again for what remains of it."""

from __future__ import annotations

from dataclasses import replace

from engine.planning.document import PlanDocument
from engine.planning.progress import RunProgress, StepStatus
from engine.running.changes import source_changes
from engine.running.services import Services
from engine.running.session import Session


def progress_for(services: Services, session: Session) -> RunProgress:
    """The progress to plan on; an undo run's changes are those of the run that it undoes."""
    return replace(session.progress, changes=source_changes(services, session))


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
        session.note(
            "step.outcome",
            address=done.address,
            state="succeeded" if done.ok else "failed",
            output=done.output,
            category=done.category.value if done.category else None,
            message=done.message,
            frozen=True,
        )
    return document


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
    return document
