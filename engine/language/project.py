"""All rules, conditions and playbooks, read together, checked together, used together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain.canonical import digest
from engine.language.building import Builder, build_condition, build_rules
from engine.language.calls import check_calls
from engine.language.diagnostics import (
    Diagnostic,
    InvalidProject,
    Report,
    arranged,
    listed,
    suggestion,
)
from engine.language.known import Catalog, Known
from engine.language.mutations import is_mutations, read_mutations
from engine.language.playbookcheck import check_playbook
from engine.language.program import Program
from engine.language.reading import Playbook, read_playbook
from engine.language.rehearsalcheck import Ground, TargetCheck, WorldCheck, check_rehearsal
from engine.language.rehearsalreading import is_rehearsal, read_rehearsals
from engine.language.rulecheck import check_names, check_rules
from engine.language.rulereading import RuleFile, read_rules
from engine.language.rules import Condition, Rule
from engine.language.yamlcompose import MAX_BYTES, compose
from engine.language.yamlnodes import Node

__all__ = [
    "InvalidProject",
    "Project",
    "check_paths",
    "kind_of_file",
    "load_project",
    "read_source",
]

_SUFFIXES = (".yaml", ".yml")
_CONFIG_KEYS = (
    "store",
    "listen",
    "connections",
    "intake",
    "workers",
    "roles",
    "playbooks",
    "people",
    "approval",
    "brakes",
)
_IGNORED = {"groups"}  # Prometheus alert rules beside ours
_KINDS = ("playbook", "rules", "conditions", "rehearsal")

ConfigCheck = Callable[[Node], list[Diagnostic]]


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
    files = _Files()
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
    paths = list(paths)
    given = _Files(config)
    given.add(paths)
    files = _Files(config)
    files.add([*context])
    names = set(given.names)
    files.names = {name: text for name, text in files.names.items() if name not in names}
    files.rules = [one for one in files.rules if one.node.source.name not in names]
    files.playbooks = [one for one in files.playbooks if one.node.source.name not in names]
    files.rules += given.rules
    files.playbooks += given.playbooks
    files.report.diagnostics += given.report.diagnostics
    known = _known(files, registry, connections, roles, secrets)
    _check(files, known)
    names |= _check_rehearsals(paths, Ground.of(files.rules, world, holds), known, files.report)
    return arranged(one for one in files.report.diagnostics if one.file in names)


def _check_rehearsals(
    paths: Iterable[Path | str], ground: Ground, known: Known, report: Report
) -> set[str]:
    """Check the rehearsals and mutations below paths; return the names of their files."""
    names = set()
    for path in _found(paths, Report(), {}):
        if is_rehearsal(path):
            names.add(shown(path))
            for one in read_rehearsals(path, shown(path), report):
                check_rehearsal(one, ground, known, report)
        elif is_mutations(path) and (root := read_source(path, report)) is not None:
            names.add(shown(path))
            read_mutations(root, path, report)
    return names


# ---- files ----------------------------------------------------------------------------------------


@dataclass
class _Files:
    """Files read so far. `names` holds every file's text by the name that messages use."""

    config: ConfigCheck | None = None
    report: Report = field(default_factory=Report)
    rules: list[RuleFile] = field(default_factory=list)
    playbooks: list[Playbook] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> list[list[str]]:
        return [[name, text] for name, text in sorted(self.names.items())]

    def add(self, paths: Iterable[Path | str]) -> None:
        for path in _found(paths, self.report, self.names):
            name = shown(path)
            if name in self.names or is_rehearsal(path) or is_mutations(path):
                continue
            self.names[name] = ""
            root = read_source(path, self.report)
            if root is None:
                continue
            self.names[name] = root.source.text
            self._sort_in(root)

    def _sort_in(self, root: Node) -> None:
        kind = kind_of_file(root)
        if kind is None:
            _no_kind(root, self.report)
        elif kind == "config":
            if self.config is None:
                message = "this is a configuration, not rules or playbooks"
                self.report.error(root, message, hint="give its path with --config")
            else:
                self.report.diagnostics += self.config(root)
        elif kind == "rehearsal":
            hint = "rename it to NAME.rehearsal.yaml"
            self.report.error(root, "a rehearsal stands in a file of another name", hint=hint)
        elif kind in _IGNORED or not _storable(root, self.report):
            return
        elif kind == "playbook":
            self.playbooks.append(read_playbook(root, self.report))
        else:
            self.rules.append(read_rules(root, self.report))


def shown(path: Path) -> str:
    """Return how messages call a file: below the working folder where it is there."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def _found(paths: Iterable[Path | str], report: Report, names: dict[str, str]) -> Iterator[Path]:
    for given in paths:
        path = Path(given)
        if path.is_dir():
            yield from sorted(
                one
                for one in path.rglob("*")
                if one.suffix in _SUFFIXES and one.is_file() and not _hidden(one, path)
            )
        elif path.is_file():
            yield path
        else:
            name = path.as_posix()
            names.setdefault(name, "")
            hint = "check the path, and rules: and playbooks: in the configuration"
            message = "there is no such file or folder"
            report.diagnostics.append(Diagnostic(name, 1, 1, message, hint=hint))


def _hidden(path: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(below).parts)


def read_source(path: Path, report: Report) -> Node | None:
    """Read a YAML file; report what is wrong with it. None where nothing of it can be used."""
    name = shown(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        report.diagnostics.append(Diagnostic(name, 1, 1, message, hint="check its rights"))
        return None
    root, found = compose(data, name)
    report.diagnostics += found
    if root is None and not found:
        hint = "begin with playbook:, rules: or conditions:, or remove the file"
        report.diagnostics.append(Diagnostic(name, 1, 1, "the file is empty", hint=hint))
    return root


def kind_of_file(root: Node) -> str | None:
    """Return `playbook`, `rules`, `config`, `rehearsal`, `groups`, or None where no key tells."""
    keys = set(root.keys)
    if "rehearsal" in keys:
        return "rehearsal"
    if "playbook" in keys:
        return "playbook"
    rules = root.get("rules")
    paths = rules is not None and any(isinstance(one.value, str) for one in rules.elements())
    if keys & set(_CONFIG_KEYS) or paths:
        return "config"
    if keys & {"rules", "conditions"}:
        return "rules"
    if keys & {"groups", "rule_files"}:  # promtool's unit tests lie beside the rules they test
        return "groups"
    return "playbook" if "steps" in keys else None


def _no_kind(root: Node, report: Report) -> None:
    if not root.sound:
        return
    near = next(((key, hint) for key in root.keys if (hint := suggestion(key, _KINDS))), None)
    found = f"the keys {listed(root.keys)}" if root.keys else None
    report.error(
        root.key(near[0]) if near else root,
        "this file is neither a playbook nor rules nor conditions",
        found=found or "no mapping",
        expected="a top-level key " + ", ".join(_KINDS),
        hint=near[1] if near else None,
    )


def _storable(node: Node, report: Report) -> bool:
    """Report numbers that the journal's JSON cannot carry; tell whether there are none."""
    if isinstance(node.value, float) and not -1e308 <= node.value <= 1e308:
        shown_value = node.source.text[node.start : node.end]
        hint = f'quote it where it is a text: "{shown_value}"'
        report.error(
            node, f"{shown_value} cannot be journalled, JSON has no such number", hint=hint
        )
        return False
    inside = [*(item for _, item in node.entries()), *node.elements()]
    results = [_storable(item, report) for item in inside]  # all of them, so that all are reported
    return all(results)


# ---- all together ---------------------------------------------------------------------------------


def _known(
    files: _Files,
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


def _check(files: _Files, known: Known) -> None:
    check_names(files.rules, files.report)
    for file in files.rules:
        check_rules(file, known, files.report)
    for playbook in files.playbooks:
        check_playbook(playbook, known, files.report)
    check_calls(known.playbooks, files.report)
