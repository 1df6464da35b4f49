"""Where a call should stand: it follows its page, and what the page is about."""

from __future__ import annotations

from engine.domain.incident import OVER
from engine.domain.people import ENGINE
from engine.domain.run import RunState
from engine.incidents import calling
from engine.incidents.calling import Calling
from engine.incidents.paging import LogPager
from engine.journal.casefiles import CallRow
from engine.journal.rows import PageRow
from engine.journal.store import Store, Tx

_WAITS = {RunState.NEEDS_HUMAN, RunState.HELD, RunState.AWAITING_APPROVAL}


def standing(tx: Tx, call: CallRow) -> str:
    """Return what a call's state should be: its page is seen, its subject is over."""
    kind = call.subject.partition(":")[0]
    page = tx.pages.get(call.id)
    seen = page is None or page.acked_at is not None
    if kind == "run" and call.run_id is not None:
        run = tx.runs.get(call.run_id)
        if run is None or run.state not in _WAITS:
            return calling.ENDED
    elif kind == "incident" and call.incident_id is not None:
        incident = tx.incidents.get(call.incident_id)
        if incident is None or incident.state in OVER:
            return calling.ENDED
    elif seen:
        return calling.ENDED  # nothing but being seen ends a page about anything else
    return calling.ACKNOWLEDGED if seen else calling.CALLING


def follow(tx: Tx, call: CallRow) -> int:
    """Bring a call to where its page stands."""
    page = tx.pages.get(call.id)
    state = standing(tx, call)
    if state == call.state:
        return 0
    if state == calling.ENDED:
        if page is not None and page.acked_at is None:
            calling.seen(tx, page, ENGINE, "there is nothing to see any more")
        return int(calling.ended(tx, call, "there is nothing to call about any more"))
    if state == calling.ACKNOWLEDGED and page is not None:
        return int(calling.acknowledged(tx, call, page.acked_by, page.note))
    return 0


class ChainPager:
    """A pager that lets the configured chain call, and says so in the log. Implements `ports.Pager`."""

    def __init__(self, store: Store, caller: Calling) -> None:
        self._store = store
        self._caller = caller
        self._log = LogPager()

    def page(self, page: PageRow) -> None:
        self._log.page(page)
        if self._caller.policy.chains:
            self._store.write(lambda tx: self._caller.call(tx, page))
