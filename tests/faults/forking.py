"""`stanch serve` forked from a process that has imported everything: a start without its seconds of imports.

What is killed is a whole process with its own interpreter state, as a started one is; it has opened no
file, thread or connection before the fork. `test_without_a_fault_everything_happens_once` starts the
command itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

_CONTEXT: ForkServerContext = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.preloaded"])


class Forked:
    """A started `stanch` with a process's ways: poll, terminate, kill, wait."""

    def __init__(
        self, arguments: list[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        self._process: ForkServerProcess = _CONTEXT.Process(
            target=_stanch, args=(arguments, str(folder), dict(environment), str(log)), daemon=True
        )
        self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def wait(self, within: float | None = None) -> int | None:
        """Wait for its end; None where it has not ended by then."""
        self._process.join(within)
        return self._process.exitcode


def _stanch(arguments: list[str], folder: str, environment: dict[str, str], log: str) -> None:
    from engine.edges.cli.main import run

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(arguments))
