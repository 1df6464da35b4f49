"""All rules, conditions and playbooks, read together, checked together, used together or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.domain.canonical import digest
from engine.language.building import Builder, build_condition, build_rules
from engine.language.calls import check_calls
from engine.language.diagnostics import Diagnostic, InvalidProject, Report, arranged
from engine.language.known import Catalog, Known
from engine.language.mutations import read_mutations
from engine.language.playbookcheck import check_playbook
from engine.language.program import Program
from engine.language.projectfiles import ConfigCheck, Files, read_source, shown
from engine.language.reading import Playbook
from engine.language.rehearsalcheck import Ground, TargetCheck, WorldCheck, check_rehearsal
from engine.language.rehearsalreading import is_rehearsal, read_rehearsals
from engine.language.rulecheck import check_names, check_rules
from engine.language.rules import Condition, Rule


@dataclass(frozen=True)
class Project:
    """What runs: frozen, replaced as a whole on reload.

    Attributes:
        rules: of all files, files in the order of their names, rules in the order of their file.
        digest: changes when any text changes.
        warnings: what works, but hardly as meant.
    """

    rules: tuple[Rule, ...]
    playbooks: Mapping[str, Program]
    conditions: Mapping[str, Condition]
    digest: str
    warnings: tuple[Diagnostic, ...] = ()


def load_project(
    rule_paths: Iterable[Path | str],
    playbook_paths: Iterable[Path | str],
    registry: Catalog,
    connections: Mapping[str, str],
    roles: Collection[str] | None = None,
    secrets: Collection[str] | None = None,
) -> Project:
    """Read and check everything below the paths.

    Args:
        rule_paths, playbook_paths: files, or folders that are searched for .yaml and .yml files.
        connections: each connection's kind, by its name.
        roles, secrets: the names there are; None leaves them unchecked.

    Raises:
        InvalidProject: with every mistake of every file; nothing is used then.
    """
    files = Files()
    files.add([*rule_paths, *playbook_paths])
    known = _known(files, registry, connections, roles, secrets)
    _check(files, known)
    found = arranged(files.report.diagnostics)
    if any(one.is_error for one in found):
        raise InvalidProject(found)
    builder = Builder(known)
    return Project(
        rules=tuple(rule for file in files.rules for rule in build_rules(file, known)),
        playbooks={
            name: builder.program(playbook) for name, playbook in sorted(known.playbooks.items())
        },
        conditions={name: build_condition(read) for name, read in sorted(known.conditions.items())},
        digest=digest(files.texts),
        warnings=tuple(found),
    )


def check_paths(
    paths: Iterable[Path | str],
    registry: Catalog,
    connections: Mapping[str, str],
    roles: Collection[str] | None = None,
    secrets: Collection[str] | None = None,
    *,
    context: Iterable[Path | str] = (),
    config: ConfigCheck | None = None,
    world: WorldCheck | None = None,
    holds: TargetCheck | None = None,
) -> list[Diagnostic]:
    """Check files of any kind and return every mistake and warning in them, arranged.

    Args:
        paths: files or folders; each file's kind is recognised by its top-level key.
        context: further files that may be named; mistakes in them are not returned.
        config: checks a configuration file; without it such files are not accepted.
        world: checks what stands for a connection in a rehearsal; `holds` tells whether it has a target.
    """
    given = Files(config)
    given.add(paths)
    names = set(given.names)
    files = Files(config, names=dict(given.names))  # what is read already is not read again
    files.add(context)
    files.rules += given.rules
    files.playbooks += given.playbooks
    files.report.diagnostics += given.report.diagnostics
    known = _known(files, registry, connections, roles, secrets)
    _check(files, known)
    names |= _check_beside(given.beside, Ground.of(files.rules, world, holds), known, files.report)
    return arranged(one for one in files.report.diagnostics if one.file in names)


def _check_beside(paths: Iterable[Path], ground: Ground, known: Known, report: Report) -> set[str]:
    """Check files of rehearsals and mutations; return their names."""
    names = set()
    for path in paths:
        name = shown(path)
        names.add(name)
        if is_rehearsal(path):
            for one in read_rehearsals(path, name, report):
                check_rehearsal(one, ground, known, report)
        elif (root := read_source(path, report)) is not None:
            read_mutations(root, path, report)
    return names


# ---- all together ---------------------------------------------------------------------------------


def _known(
    files: Files,
    registry: Catalog,
    connections: Mapping[str, str],
    roles: Collection[str] | None,
    secrets: Collection[str] | None,
) -> Known:
    playbooks: dict[str, Playbook] = {}
    for playbook in files.playbooks:
        if not playbook.name:
            continue
        first = playbooks.setdefault(playbook.name, playbook)
        if first is not playbook:
            at = first.node.at("playbook")
            files.report.error(
                playbook.node.at("playbook"),
                f"the playbook name {playbook.name!r} is used a second time",
                hint=f"its first use is at {at.source.name}:{at.line}; rename one",
            )
    conditions = {
        name: read for file in reversed(files.rules) for name, read in file.conditions.items()
    }
    return Known(
        actions=registry.actions,
        kinds=registry.kinds,
        connections=connections,
        roles=roles,
        secrets=secrets,
        playbooks=playbooks,
        conditions=conditions,
        why_missing=registry.why_missing,
    )


def _check(files: Files, known: Known) -> None:
    check_names(files.rules, files.report)
    for file in files.rules:
        check_rules(file, known, files.report)
    for playbook in files.playbooks:
        check_playbook(playbook, known, files.report)
    check_calls(known.playbooks, files.report)
