"""`--watch`: do it again whenever a file below the paths changes, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from engine.domain.clock import Clock
from engine.domain.errors import StanchError
from engine.edges.cli.session import Session
from engine.edges.problems import OK, problem_of

EVERY = 0.5  # seconds between two looks
_ENDINGS = frozenset({".yaml", ".yml", ".csv", ".json", ".sql", ".py"})


def keep_at_it(session: Session, paths: Iterable[Path] | None, once: Callable[[], object]) -> int:
    """`watch` on the machine's clock, over the named paths, else over all that the configuration names."""
    from engine.domain.clock import SystemClock
    from engine.edges.config import default_path, load_config

    if paths:
        return watch(session, paths, once, SystemClock())
    config = load_config(session.config)
    here = session.config or default_path()
    return watch(session, [here, *config.rules, *config.playbooks], once, SystemClock())


def watch(session: Session, paths: Iterable[Path], once: Callable[[], object], clock: Clock) -> int:
    """Do `once` now and after every change below `paths`; return 0 once it is stopped by Ctrl-C.

    What `once` raises (mistakes, failures) is shown; the watch goes on.
    """
    watched = [*paths]
    console = session.console()
    try:
        while True:
            seen = _state(watched)
            if console.is_terminal:
                console.clear()
            _done(session, once)
            session.tell(f"watching {', '.join(map(str, watched))}; Ctrl-C ends it")
            while _state(watched) == seen:
                clock.sleep(EVERY)
    except KeyboardInterrupt:
        return OK


def _done(session: Session, once: Callable[[], object]) -> None:
    try:
        once()
    except typer.Exit:
        pass  # its output says what there is to say
    except StanchError as error:
        diagnostics = getattr(error, "diagnostics", None)
        if diagnostics is not None:
            from engine.edges.cli.render.diagnostics import print_diagnostics

            configured = session.config is not None
            print_diagnostics(diagnostics, as_json=session.as_json, configured=configured)
            return
        problem = problem_of(error)
        session.warn(f"error: {problem.message}")


def _state(paths: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Times and sizes of the files that matter. One that goes meanwhile is one that changed."""
    found: dict[str, tuple[int, int]] = {}
    for path in paths:
        for file in [path] if path.is_file() else _files(path):
            try:
                stat = file.stat()
            except OSError:
                continue
            found[str(file)] = (stat.st_mtime_ns, stat.st_size)
    return found


def _files(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.suffix in _ENDINGS)
