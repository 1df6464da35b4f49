"""The one writer: works queue up, what queued meanwhile shares a commit, one that raises fails alone.

A group runs without savepoints first, which is what nearly always suffices. Where a work fails after it
wrote, the group is rolled back and run again with a savepoint a work. Where the commit or the connection
fails, each work is run again in a transaction of its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from engine.domain.errors import StoreUnavailable
from engine.journal.session import Broken, OutcomeUnknown, Raced, WriteSession
from engine.journal.store import Tx
from engine.journal.tx import Transaction

log = logging.getLogger("stanch.journal")

T = TypeVar("T")
Phase = Literal["before", "after"]
Told = Callable[[Any, BaseException | None], None]
CommitHook = Callable[[int, Phase], None]

GROUP_SECONDS = 0.005  # and for how long one is kept open for what still comes
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


class Writer:
    """Runs works on one connection, in a thread of its own that starts with the first work.

    Args:
        connect: opens the session and its transaction; raises Broken where the database is away.
        committed: told the topics of each commit, from the writer's thread.
        hook: called with (n, "before") and (n, "after") around the store's nth commit that changes
            anything; fault tests end the process there.
    """

    def __init__(
        self,
        connect: Callable[[], tuple[WriteSession, Transaction]],
        committed: Callable[[set[str]], None],
        hook: CommitHook | None = None,
    ) -> None:
        self._connect = connect
        self._committed = committed
        self._hook = hook
        self._commits = 0
        self._start = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._session: WriteSession | None = None
        self._tx: Transaction | None = None
        self._closed = False

    # ------------------------------------------------------------ callers

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run a work and wait until it is durable."""
        job = Job(work)
        self._put(job)
        job.done.acquire()
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def submit(self, work: Callable[[Tx], T]) -> Future[T]:
        future: Future[T] = Future()

        def told(result: T, error: BaseException | None) -> None:
            if future.set_running_or_notify_cancel():
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

        self._put(Job(work, told))
        return future

    def hand_in(
        self, work: Callable[[Tx], T], told: Callable[[T | None, BaseException | None], None]
    ) -> None:
        self._put(Job(work, told))

    def _put(self, job: Job) -> None:
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            thread = self._ensure()
        if thread is threading.current_thread():
            raise RuntimeError(
                "a unit of work, or a listener, wrote to the store that is running it; "
                "write with the transaction it was given, or from another thread"
            )
        if self._closed:
            raise StoreUnavailable("the store is closed; nothing was kept")
        self._queue.put(job)

    def _ensure(self) -> threading.Thread:
        with self._start:
            if self._pid != os.getpid():
                # A fork: neither the thread nor the connection are ours. The connection is left as it
                # is, since closing it would end the parent's too.
                _orphans.append(self._session)
                self._reset()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
                self._thread.start()
            return self._thread or threading.Thread()

    def close(self) -> None:
        """Finish what is queued, then end."""
        with self._start:
            if self._closed or self._pid != os.getpid():
                return
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is not None:
            thread.join()
        self._refuse_rest(StoreUnavailable("the store is closed; nothing was kept"))

    # ------------------------------------------------------------ the thread

    def _serve(self) -> None:
        while True:
            job = self._queue.get()
            if job is None or not self._group(job):
                break
        if self._session is not None:
            self._session.close()
            self._session = None

    def _group(self, first: Job) -> bool:
        """Run and commit one group. Returns False once told to end."""
        jobs: list[Job] = []
        going = True
        try:
            session, tx = self._begin()
        except Broken as error:
            first.fail(error)
            return self._refuse_rest(error)
        except Exception as error:
            log.exception("the journal's connection cannot be opened")
            first.fail(error)
            return True
        try:
            going = self._gather(session, tx, first, jobs)
            _catch_up(session)
            self._commit(session)
        except _Spoilt:
            session.abort()
            self._apart(jobs)
        except Broken as error:
            session.abort()
            self._one_by_one(jobs, error)
        except OutcomeUnknown as error:
            for each in jobs:
                each.fail(error)
        except Exception as error:
            # A fault of ours. The thread must live on: nobody may wait for ever.
            log.exception("a group of writes failed in the journal itself")
            session.abort()
            for each in jobs:
                each.fail(error)
        else:
            self._settle(session, jobs)
        return going

    def _gather(self, session: WriteSession, tx: Transaction, first: Job, jobs: list[Job]) -> bool:
        """Run `first` and what queued meanwhile. No savepoints: works seldom fail after they wrote."""
        until = time.monotonic() + GROUP_SECONDS
        job: Job | None = first
        spoilt = False
        while job is not None:
            jobs.append(job)
            spoilt = not _try(session, tx, job)
            if spoilt or len(jobs) >= session.group_limit or time.monotonic() >= until:
                break
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
        if spoilt:
            raise _Spoilt
        return job is not None

    def _apart(self, jobs: list[Job]) -> None:
        """Run a group again in which one failed after it wrote: each in a savepoint of its own."""
        try:
            session, tx = self._begin()
            for job in jobs:
                _run_apart(session, tx, job)
            self._commit(session)
        except Broken as error:
            if self._session is not None:
                self._session.abort()
            self._one_by_one(jobs, error)
        except OutcomeUnknown as error:
            for each in jobs:
                each.fail(error)
        else:
            self._settle(session, jobs)

    def _begin(self) -> tuple[WriteSession, Transaction]:
        if self._session is None or self._tx is None:
            self._session, self._tx = self._connect()
            self._session.refuse_waiting = self._refuse_waiting
        try:
            self._session.begin()
        except Broken as error:
            self._session.abort()
            if not error.again:
                raise
            self._session.begin()  # the connection had been cut while idle: one try on a new one
        return self._session, self._tx

    def _commit(self, session: WriteSession) -> None:
        if not session.changed:
            session.abort()
            return
        self._commits += 1
        if self._hook is not None:
            self._hook(self._commits, "before")
        session.commit()
        if self._hook is not None:
            self._hook(self._commits, "after")

    def _settle(self, session: WriteSession, jobs: list[Job]) -> None:
        topics, session.touched = session.touched, set()
        for job in jobs:
            job.settle()
        if topics:
            self._committed(topics)

    def _one_by_one(self, jobs: list[Job], error: Broken) -> None:
        """The group failed as a whole: each gets a transaction of its own, so that only the culprit fails."""
        while jobs:
            job = jobs.pop(0)
            for attempt in range(TRIES):
                try:
                    session, tx = self._begin()
                except Broken as away:
                    for each in (job, *jobs):
                        each.fail(away)
                    return
                try:
                    _run_apart(session, tx, job)
                    self._commit(session)
                except OutcomeUnknown as unknown:
                    job.fail(unknown)
                    break
                except Broken as again:
                    session.abort()
                    error = again
                    if not again.again:
                        job.fail(again)
                        break
                    time.sleep(0.002 * 2**attempt)
                else:
                    self._settle(session, [job])
                    break
            else:
                job.fail(error)

    def _refuse_waiting(self, error: StoreUnavailable) -> bool:
        if self._refuse_rest(error):
            return True
        self._queue.put(None)
        return False

    def _refuse_rest(self, error: BaseException) -> bool:
        """Fail everything queued, so that nobody waits for a database that is away. False: told to end."""
        while True:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return True
            if job is None:
                return False
            job.fail(error)


class _Spoilt(Exception):
    """A work failed after it wrote; the group must be run again."""


def _catch_up(session: WriteSession) -> None:
    """Write what the works put off. Whose row was at fault, the second run of the group tells."""
    try:
        session.catch_up()
    except Broken:
        raise
    except Exception as error:
        raise _Spoilt from error


def _try(session: WriteSession, tx: Transaction, job: Job) -> bool:
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


def _run_apart(session: WriteSession, tx: Transaction, job: Job) -> None:
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


_orphans: list[Any] = []
