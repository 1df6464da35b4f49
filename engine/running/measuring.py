"""What is measured of a run: made of the entries that a transaction adds to its chain, written with them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from engine.domain.entry import Entry
from engine.journal.rows import MeasureRow
from engine.language.program import ActionNode, Program
from engine.language.shownforms import WEEK
from engine.planning.addresses import find_node
from engine.planning.progress import RunProgress
from engine.running.resources import resident

KEPT = timedelta(seconds=WEEK)  # then it is forgotten
_MESSAGE = 500  # characters of a failure that are kept


@dataclass
class _Spent:
    cpu: float = 0.0
    memory: int | None = None


class Spent:
    """What the steps of one run took of this process, until it is written."""

    def __init__(self) -> None:
        self._steps: defaultdict[str, _Spent] = defaultdict(_Spent)

    @contextmanager
    def on(self, address: str) -> Iterator[None]:
        """Count what this thread does meanwhile as the step's; memory is that of the whole process."""
        before = time.thread_time()
        try:
            yield
        finally:
            self.add(address, time.thread_time() - before)

    def add(self, address: str, cpu: float) -> None:
        """Count seconds of CPU as the step's, and the memory that the process holds now."""
        one = self._steps[address]
        one.cpu += cpu
        memory = resident()
        if memory is not None:
            one.memory = max(one.memory or 0, memory)

    def take(self, address: str) -> tuple[float, int | None]:
        """Return (seconds of CPU, most bytes of memory) of a step, and forget them."""
        one = self._steps.pop(address, _Spent())
        return one.cpu, one.memory


def rows_of(
    run_id: str, program: Program, progress: RunProgress, spent: Spent, entries: Sequence[Entry]
) -> list[MeasureRow]:
    """Return what these entries are to those who measure: steps and the run that began or ended."""
    rows: list[MeasureRow] = []
    for entry in entries:
        kind, body = entry.kind, entry.body
        if kind == "run.ended":
            rows.append(MeasureRow("run.ended", run_id, state=body["state"]))
        elif kind == "step.started" or (kind == "step.intent" and body["attempt"] == 1):
            stage = stage_of(program, body["address"])
            rows.append(MeasureRow("began", run_id, body["address"], stage))
        elif kind == "step.outcome":
            rows.append(_ended(run_id, program, progress, spent, entry))
    return rows


def _ended(
    run_id: str, program: Program, progress: RunProgress, spent: Spent, entry: Entry
) -> MeasureRow:
    body, address = entry.body, entry.body["address"]
    state = progress.steps.get(address)
    cpu, memory = spent.take(address)
    failed = body["state"] == "failed"
    return MeasureRow(
        "ended",
        run_id,
        address,
        stage_of(program, address),
        state=body["state"],
        category=body.get("category") or ("unclassified" if failed else None),
        started_at=state.started_at if state is not None else None,
        attempts=state.attempt if state is not None else 1,
        cpu=cpu,
        memory=memory,
        message=body.get("message", "")[:_MESSAGE] if failed else "",
    )


def stage_of(program: Program, address: str, unknown: str = "step") -> str:
    """Return a step's action, or the kind of a step that has none; `unknown` where neither is known."""
    try:
        node = find_node(program, address)
    except KeyError:
        return unknown
    return node.action if isinstance(node, ActionNode) else str(getattr(node, "kind", unknown))
