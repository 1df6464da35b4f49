"""Plants every listed fault and sees that the rehearsals named for it fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.edges.rehearsal.stage import Ground
from engine.edges.rehearsal.suite import Result, play
from engine.language.diagnostics import InvalidProject, Report, arranged
from engine.language.mutations import (
    Mutation,
    MutationForm,
    calls,
    is_mutations,
    known,
    mutate,
    mutate_rule,
    read_mutations,
)
from engine.language.projectfiles import read_source
from engine.language.rehearsalreading import Rehearsal


@dataclass(frozen=True)
class Planted:
    """What became of one planted fault: `unnoticed` are the rehearsals that passed all the same, or
    that failed for another reason than the fault asks for."""

    name: str
    place: str
    covers: tuple[str, ...]
    seconds: float
    noticed: tuple[str, ...] = ()
    unnoticed: tuple[str, ...] = ()
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.unnoticed and not self.error

    def as_json(self) -> JsonObject:
        return {
            "name": self.name,
            "place": self.place,
            "ok": self.ok,
            "covers": list(self.covers),
            "seconds": round(self.seconds, 4),
            "noticed": list(self.noticed),
            "unnoticed": list(self.unnoticed),
            "error": self.error,
        }


def find_mutations(paths: Iterable[Path]) -> list[Mutation]:
    """Read the mutations below paths.

    Raises:
        InvalidProject: with every mistake of every file.
    """
    report = Report()
    found: list[Mutation] = []
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in files:
            if is_mutations(one) and (root := read_source(one, report)) is not None:
                found += read_mutations(root, one, report)
    if report.failed:
        raise InvalidProject(arranged(report.diagnostics))
    return found


def planted(ground: Ground, form: MutationForm) -> Ground:
    """Return the ground with the fault in it.

    Raises:
        InvalidInput: there is no such playbook, rule or place.
    """
    project = ground.project
    if form.rule is not None:
        known(form.rule, {rule.name: rule for rule in project.rules}, "rule")
        rules = tuple(
            mutate_rule(rule, form) if rule.name == form.rule else rule for rule in project.rules
        )
        return replace(ground, project=replace(project, rules=rules))
    name = form.playbook or ""
    known(name, project.playbooks, "playbook")
    playbooks = {
        other: mutate(program, form) if calls(program, name) else program
        for other, program in project.playbooks.items()
    }
    return replace(ground, project=replace(project, playbooks=playbooks))


def plant(
    ground: Ground,
    mutation: Mutation,
    rehearsals: Sequence[Rehearsal],
    service: Callable[[str], str],
) -> Planted:
    """Plant one fault and play the rehearsals that must notice it.

    Args:
        rehearsals: among which they are found: beside the mutations first, then anywhere.
    """
    form = mutation.form
    began = time.perf_counter()
    noticed: list[str] = []
    unnoticed: list[str] = []
    error = ""
    try:
        changed = planted(ground, form)
        for name in form.failing:
            result = play(changed, _named(name, mutation, rehearsals), service)
            (noticed if _notices(result, form) else unnoticed).append(name)
    except InvalidInput as problem:
        error = str(problem)
    return Planted(
        form.mutation,
        mutation.place,
        tuple(form.covers),
        time.perf_counter() - began,
        tuple(noticed),
        tuple(unnoticed),
        error,
    )


def _notices(result: Result, form: MutationForm) -> bool:
    """Whether a rehearsal fails, and for the reason that the fault asks for."""
    if form.by is None:
        return not result.ok
    return any(miss.key == form.by for miss in result.misses)


def _named(name: str, mutation: Mutation, rehearsals: Sequence[Rehearsal]) -> Rehearsal:
    same = [one for one in rehearsals if one.name == name]
    beside = [one for one in same if one.path.parent == mutation.path.parent]
    if not same:
        known(name, {one.name: one for one in rehearsals}, "rehearsal")
    return (beside or same)[0]
