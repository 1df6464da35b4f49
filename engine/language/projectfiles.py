"""The files of rules and playbooks: found below the paths, read, and sorted by what each of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.language.diagnostics import Diagnostic, Report, listed, suggestion
from engine.language.mutations import is_mutations
from engine.language.reading import Playbook, read_playbook
from engine.language.rehearsalreading import is_rehearsal
from engine.language.rulereading import RuleFile, read_rules
from engine.language.yamlfiles import read_document
from engine.language.yamlnodes import Node

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
_RULES_OR_PLAYBOOK = "playbook:, rules: or conditions:"
_MUTATIONS = "mutations:"
_KINDS = ("playbook", "rules", "conditions", "rehearsal")

ConfigCheck = Callable[[Node], list[Diagnostic]]


@dataclass
class Files:
    """Files read so far.

    Attributes:
        names: every file's text by the name that messages use.
        beside: rehearsals and mutations that were met; they are not read here.
    """

    config: ConfigCheck | None = None
    report: Report = field(default_factory=Report)
    rules: list[RuleFile] = field(default_factory=list)
    playbooks: list[Playbook] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    beside: list[Path] = field(default_factory=list)

    @property
    def texts(self) -> list[list[str]]:
        """Each file's name and text, by name: what a project's digest is of."""
        return [[name, text] for name, text in sorted(self.names.items())]

    def add(self, paths: Iterable[Path | str]) -> None:
        """Read every file below the paths that is not read yet, but for rehearsals and mutations."""
        for path in _files_below(paths, self.report, self.names):
            if is_rehearsal(path) or is_mutations(path):
                self.beside.append(path)
                continue
            name = shown(path)
            if name in self.names:
                continue
            self.names[name] = ""
            root = _read(path, name, self.report)
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


def _files_below(
    paths: Iterable[Path | str], report: Report, names: dict[str, str]
) -> Iterator[Path]:
    """Yield the files that paths name, and those of YAML below the folders among them.

    Args:
        report: where a path that is not there is reported, `names` where its name is entered.
    """
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
    return _read(path, shown(path), report)


def _read(path: Path, name: str, report: Report) -> Node | None:
    return read_document(
        path, name, report, begin=_MUTATIONS if is_mutations(path) else _RULES_OR_PLAYBOOK
    )


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
