"""All rehearsals of one invocation: found, checked, played side by side, counted."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.contract.registry import Registry, load_registry
from engine.domain.canonical import JsonObject
from engine.domain.errors import StanchError
from engine.edges.config import Config
from engine.edges.rehearsal.judging import Miss, judge, timeline
from engine.edges.rehearsal.player import Player
from engine.edges.rehearsal.services import Servers, needed
from engine.edges.rehearsal.sidebyside import side_by_side
from engine.edges.rehearsal.stage import Ground, clean_up, prepare
from engine.language.diagnostics import Diagnostic, InvalidProject, Report, arranged
from engine.language.project import load_project
from engine.language.projectfiles import shown
from engine.language.rehearsalforms import RehearsalFile
from engine.language.rehearsalreading import Rehearsal, read_rehearsals, rehearsal_files
from engine.language.yamlcompose import compose

_ALLOCATIONS = 20_000  # objects more than freed, between two looks for garbage


@dataclass(frozen=True)
class Result:
    """What one rehearsal came to.

    Attributes:
        error: why it could not be played, empty where it was.
        seconds: of the machine's time. took: of the rehearsal's.
    """

    name: str
    place: str
    covers: tuple[str, ...]
    seconds: float
    took: float = 0.0
    misses: tuple[Miss, ...] = ()
    timeline: tuple[str, ...] = ()
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.misses and not self.error

    def as_json(self) -> JsonObject:
        return {
            "name": self.name,
            "place": self.place,
            "ok": self.ok,
            "covers": list(self.covers),
            "seconds": round(self.seconds, 4),
            "took": self.took,
            "error": self.error,
            "misses": [miss.as_json() for miss in self.misses],
            "timeline": [] if self.ok else list(self.timeline),
        }


def find(paths: Iterable[Path], wanted: str | None = None) -> list[Rehearsal]:
    """Read the rehearsals below paths.

    Args:
        wanted: only those whose name or file has these words in it.

    Raises:
        InvalidProject: with every mistake of every file; none can be played then.
    """
    report = Report()
    found: list[Rehearsal] = []
    given = list(paths)
    for path in given:
        if not path.exists():
            message = "there is no such file or folder"
            report.diagnostics.append(
                Diagnostic(path.as_posix(), 1, 1, message, hint="check the path")
            )
    for path in rehearsal_files(given):
        found += read_rehearsals(path, shown(path), report)
    if report.failed:
        raise InvalidProject(arranged(report.diagnostics))
    if wanted is None:
        return found
    words = wanted.lower()
    return [one for one in found if words in f"{one.place} {one.name}".lower()]


def lay_ground(config: Config, registry: Registry | None = None) -> Ground:
    """Load the rules and playbooks that rehearsals run.

    Raises:
        InvalidProject: they hold mistakes. PluginError: a plugin cannot be loaded.
    """
    known = registry or load_registry(config.actions)
    project = load_project(
        config.rules,
        config.playbooks,
        known,
        config.kinds,
        config.roles or None,
        config.secrets,
    )
    return Ground(config, known, project)


def play(ground: Ground, rehearsal: Rehearsal, service: Callable[[str], str]) -> Result:
    """Play one rehearsal and judge it. Whatever goes wrong is in the result."""
    form = rehearsal.form
    assert form is not None
    began = time.perf_counter()

    def passed() -> float:
        return time.perf_counter() - began

    covers = tuple(form.covers)
    try:
        seen = Player(ground, form, rehearsal.path.parent, service).play()
    except StanchError as error:
        return Result(rehearsal.name, rehearsal.place, covers, passed(), error=str(error))
    misses = tuple(judge(rehearsal.node, form, seen))
    run = seen.run
    took = 0.0
    if run is not None:
        took = ((run.row.ended_at or seen.ended) - run.row.created_at).total_seconds()
    lines = tuple(timeline(seen)) if misses else ()
    return Result(rehearsal.name, rehearsal.place, covers, passed(), took, misses, lines)


def play_text(ground: Ground, text: str, path: Path) -> Result:
    """Play one rehearsal that stands in no file yet; `path` is where it will."""
    root, found = compose(text, path.name)
    form = RehearsalFile.model_validate(root.value) if root is not None and not found else None
    assert root is not None
    assert form is not None
    one = Rehearsal(root, form, path)
    with prepared(ground, [one]) as service:
        return play(ground, one, service)


def play_all(
    ground: Ground, rehearsals: Sequence[Rehearsal], *, jobs: int | None = None
) -> Iterator[Result]:
    """Yield the result of each rehearsal, in their order, as it comes.

    Args:
        jobs: processes side by side; None: as many as there are cores.
    """
    with prepared(ground, rehearsals) as service:
        tasks = [partial(play, ground, one, service) for one in rehearsals]
        yield from side_by_side(tasks, jobs)


@contextmanager
def prepared(ground: Ground, rehearsals: Sequence[Rehearsal]) -> Iterator[Callable[[str], str]]:
    """Start the servers that the rehearsals need; hand out what finds them."""
    prepare()
    try:
        with _seldom_collected(), Servers(needed(rehearsals, ground.config)) as servers:
            yield servers.service
    finally:
        clean_up()


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for garbage seldom, and not among what was loaded: that took a sixth of a rehearsal's time.

    Children that are forked meanwhile inherit it, and share what they need not look through.
    """
    first, *others = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(max(first, _ALLOCATIONS), *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)
        gc.unfreeze()
