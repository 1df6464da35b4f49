"""One unit of work of the writer: whoever waits for it, and how it is run in a group or apart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from engine.journal.session import Broken, Raced, WriteSession
from engine.journal.store import Tx
from engine.journal.tx import Transaction

log = logging.getLogger("stanch.journal")

Told = Callable[[Any, BaseException | None], None]

TRIES = 5  # of one work that loses races or meets deadlocks


class Job:
    """One work and who is told once it is settled: `told`, or whoever waits for `done`."""

    __slots__ = ("done", "error", "result", "settled", "told", "work")

    def __init__(self, work: Callable[[Tx], Any], told: Told | None = None) -> None:
        self.work = work
        self.told = told
        self.result: Any = None
        self.error: BaseException | None = None
        self.settled = False
        if told is None:
            self.done = threading.Lock()
            self.done.acquire()

    def settle(self) -> None:
        """Tell who waits, once."""
        if self.settled:
            return
        self.settled = True
        if self.told is None:
            self.done.release()
            return
        try:
            self.told(self.result, self.error)
        except Exception:
            log.exception("whoever handed in a work failed when told of its end")

    def fail(self, error: BaseException) -> None:
        self.result, self.error = None, error
        self.settle()


class Spoilt(Exception):
    """A work failed after it wrote; the group must be run again."""


def catch_up(session: WriteSession) -> None:
    """Write what the works put off. Whose row was at fault, the second run of the group tells."""
    try:
        session.catch_up()
    except Broken:
        raise
    except Exception as error:
        raise Spoilt from error


def run_in_group(session: WriteSession, tx: Transaction, job: Job) -> bool:
    """Run one work without a savepoint. False: it failed and left something behind."""
    tx.renew()
    session.dirty = False
    try:
        job.result = job.work(tx)
    except Broken:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a work raises is its caller's
        job.error = error
        return not (session.dirty or isinstance(error, Raced))
    return True


def run_apart(session: WriteSession, tx: Transaction, job: Job) -> None:
    """Run one work in its savepoint; its own errors are its own, a broken transaction is everybody's."""
    job.result = job.error = None
    touched, changed = set(session.touched), session.changed
    for _ in range(TRIES):
        session.mark()
        tx.renew()
        try:
            job.result = job.work(tx)
            session.keep()
        except Broken:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a work raises is its caller's
            session.undo()
            session.touched, session.changed, job.error = set(touched), changed, error
            if not isinstance(error, Raced):
                return
        else:
            job.error = None
            return
