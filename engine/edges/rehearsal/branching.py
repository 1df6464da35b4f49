"""Chaos as branches of one performance: where something could go wrong, a copy of the process lets it.

What leads up to a trouble is the same as in the undisturbed performance, so it is played once for all of them.
At each place the process forks: the child goes on with the trouble to its end and tells it, while the parent
waits, puts the performance's folder back as it was, and goes on undisturbed. A child is as good as a performance
of its own only where memory and that folder are all there is. So nothing branches unless the process has one
thread and nothing open that was not open before; what could not branch is left to be played by itself. Where the
system has no process or memory for a copy, that is said, and the rest is played by itself, too. A branch that is
killed has no end, and so comes to an error.
"""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.edges.rehearsal.answers import is_answers
from engine.edges.rehearsal.ends import End, play_to_end
from engine.edges.rehearsal.fragile import Phase
from engine.edges.rehearsal.services import needed
from engine.edges.rehearsal.sidebyside import told
from engine.edges.rehearsal.stage import Ground
from engine.edges.rehearsal.troubles import Disturbance, Trouble
from engine.language.rehearsalreading import Rehearsal
from engine.running.services import Moment

_OPEN = Path("/proc/self/fd")  # where the system says what a process has open


@dataclass(frozen=True)
class Grown:
    """What became of the troubles of one performance.

    Attributes:
        ends: of those that branched, by their numbers.
        refused: why the system gave no process for the others; empty where it did.
    """

    ends: Mapping[int, End]
    refused: str = ""


def branches(ground: Ground, rehearsal: Rehearsal) -> bool:
    """Tell whether a rehearsal's worlds live in this process alone, as far as they are known to."""
    from worlds.rehearsal.kinds import offer_of

    form, kinds = rehearsal.form, ground.config.kinds
    own = form is not None and all(
        is_answers(entry) or offer_of(kinds.get(name, ""), entry) is not None
        for name, entry in form.world.items()
    )
    return own and not needed([rehearsal], ground.config) and _OPEN.is_dir()


def grow(
    ground: Ground,
    rehearsal: Rehearsal,
    service: Callable[[str], str],
    troubles: Mapping[int, Trouble],
) -> Grown:
    """Play a rehearsal once, undisturbed, with a branch for each trouble; return what the branches came to.

    Args:
        troubles: by any number that they are told apart by.
    """
    trunk = Trunk(troubles)
    try:
        end = play_to_end(ground, rehearsal, service, trunk)
    except BaseException as error:
        if trunk.pipe is None:
            raise
        end = End((), (), (), error=f"{type(error).__name__}: {error}")
    if trunk.pipe is not None:
        _tell(trunk.pipe, end)
    return Grown(trunk.ends, trunk.refused)


class Trunk(Disturbance):
    """The undisturbed performance, until it is a branch: then the one with its trouble.

    Attributes:
        ends: what the branches came to. refused: why the system gave no process for more of them.
        pipe: in a branch, where its own end is told.
    """

    def __init__(self, troubles: Mapping[int, Trouble]) -> None:
        super().__init__(None)
        self.ends: dict[int, End] = {}
        self.refused = ""
        self.pipe: int | None = None
        self._left = dict(troubles)
        self._open = _opened()
        self.writes.reached = self._write

    def reached(self, moment: Moment) -> None:
        self._branch({n: one for n, one in self._left.items() if self.meets(one, moment)})

    def _write(self, number: int, when: Phase) -> None:
        place = ("write", number, when)
        self._branch(
            {n: one for n, one in self._left.items() if (one.kind, one.number, one.when) == place}
        )

    def _branch(self, due: Mapping[int, Trouble]) -> None:
        """Let each of these troubles happen in a process of its own, one after the other."""
        store = self.writes.store
        if not due or store is None or threading.current_thread() is not threading.main_thread():
            return
        with store.closed():
            if threading.active_count() > 1 or _opened() != self._open:
                self._left.clear()  # it will not be otherwise later
                return
            for number, trouble in due.items():
                kept = store.folder.with_name(f"{store.folder.name}-kept")
                try:
                    shutil.copytree(store.folder, kept)
                    child, pipe = _forked()
                except OSError as error:
                    shutil.rmtree(kept, ignore_errors=True)
                    self.refused = error.strerror or str(error)
                    self._left.clear()  # it may be otherwise later, and may not: the rest is played by itself
                    return
                del self._left[number]
                if not child:
                    self.pipe = pipe
                    self._left.clear()
                    self.choose(trouble)
                    return
                try:
                    self.ends[number] = _heard(child, pipe)
                finally:
                    shutil.rmtree(store.folder, ignore_errors=True)
                    kept.rename(store.folder)


def _forked() -> tuple[int, int]:
    """Fork; return the child's id, in the child 0, and that end of a pipe between them that is one's own.

    Raises:
        OSError: no room for a copy, or no more processes are allowed; nothing is left of the attempt.
    """
    gc.freeze()  # what is there stays: looking through it would copy it for every branch
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    os.close(writing if child else reading)
    return (child, reading) if child else (0, writing)


def _heard(child: int, reading: int) -> End:
    """Wait for a branch; return the end that it tells, or that it told none."""
    try:
        with os.fdopen(reading, "rb") as pipe:
            data = pipe.read()
    except BaseException:  # Ctrl-C: nobody wants to know any more
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
    if status:
        return End((), (), (), error=f"its process {told(os.waitstatus_to_exitcode(status))}")
    end: End = pickle.loads(data)  # noqa: S301  of our own child
    return end


def _tell(pipe: int, end: End) -> None:
    """Tell a branch's end and leave, whatever comes: nothing that the parent would still do is done twice."""
    code = 1
    try:
        with os.fdopen(pipe, "wb") as hearing:
            hearing.write(pickle.dumps(end))
        code = 0
    finally:
        os._exit(code)


def _opened() -> set[str]:
    """Return what this process has open: files, sockets, pipes; not what the system tells of processes."""
    found = set()
    for one in _OPEN.iterdir():
        with suppress(FileNotFoundError):  # the list's own
            target = one.readlink()
            if not target.is_relative_to("/proc"):
                found.add(f"{one.name} {target}")
    return found
