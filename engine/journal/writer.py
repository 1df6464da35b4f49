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
from engine.journal.job import TRIES, Job, Spoilt, catch_up, run_apart, run_in_group
from engine.journal.session import Broken, OutcomeUnknown, WriteSession
from engine.journal.store import Tx
from engine.journal.tx import Transaction

log = logging.getLogger("stanch.journal")

T = TypeVar("T")
Phase = Literal["before", "after"]
CommitHook = Callable[[int, Phase], None]

GROUP_SECONDS = 0.005  # and for how long one is kept open for what still comes


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
                thread = threading.Thread(target=self._serve, name="journal", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # whoever asked would wait for it for ever
                    raise StoreUnavailable(
                        f"the journal's thread cannot be started ({error}): free memory or raise the "
                        "limit of processes; nothing was kept"
                    ) from error
                self._thread = thread
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
            catch_up(session)
            self._commit(session)
        except Spoilt:
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
            spoilt = not run_in_group(session, tx, job)
            if spoilt or len(jobs) >= session.group_limit or time.monotonic() >= until:
                break
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
        if spoilt:
            raise Spoilt
        return job is not None

    def _apart(self, jobs: list[Job]) -> None:
        """Run a group again in which one failed after it wrote: each in a savepoint of its own."""
        try:
            session, tx = self._begin()
            for job in jobs:
                run_apart(session, tx, job)
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
                    run_apart(session, tx, job)
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


_orphans: list[Any] = []
