"""The page about what shows each procedure of the runbooks: `docs/coverage.md`.

It is made from the rows in `docs/coverage.yaml`, the `covers:` of the packs' rehearsals, their mutations
(which name a row by `covers:` or at the beginning of their text, `B4: …`), and `COVERS` of test modules: of
acceptance tests with real parts, and of the tests of what the engine itself does.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.edges.rehearsal.planting import find_mutations
from engine.edges.rehearsal.suite import find
from engine.language.mutations import Mutation
from engine.language.rehearsalreading import Rehearsal

ROWS, PAGE = Path("docs/coverage.yaml"), Path("docs/coverage.md")
_HEAD = (
    "# Coverage of the runbooks\n\n"
    "Made by `make schemas` from [coverage.yaml](coverage.yaml) and the packs; do not edit. A row is shown by "
    "rehearsals that pass, and each of them fails under at least one of the seeded faults that name the row "
    "(`stanch rehearse`, `stanch rehearse --mutations`). Worlds of rehearsals are in memory, except PostgreSQL, "
    "which is a real server; what else is real stands in the last column, with its test.\n"
)
_ROW_IDS = re.compile(r"[A-Z]\d+(?:, ?[A-Z]\d+)*(?=:)")
# What a test module starts, by a word that stands in it.
_PARTS = {
    "PrometheusServer": "Prometheus",
    "prometheus_server_factory": "Prometheus",
    "AlertmanagerServer": "Alertmanager",
    "alertmanager_server_factory": "Alertmanager",
    "PostgresServer": "PostgreSQL",
    "postgres_dsn": "PostgreSQL",
    "RedisServer": "Redis",
    "S3Server": "S3 server",
    "s3_server": "S3 server",
    "celery": "Celery",
    "ClusterProcess": "cluster over HTTP",
    '"-m", "worlds.cluster"': "cluster over HTTP",
}


@dataclass(frozen=True)
class Row:
    """One procedure of a runbook: its id, the pack that carries it out, and what it is."""

    id: str
    pack: str
    title: str


@dataclass
class Shown:
    """What shows one row.

    Attributes:
        playbooks: names, in the order in which they were found.
        rehearsals: the rehearsals that say that they show it.
        mutations: the seeded faults that name it.
        tests: test modules that say so, below the root, with the real parts that they start.
    """

    playbooks: list[str] = field(default_factory=list)
    rehearsals: list[Rehearsal] = field(default_factory=list)
    mutations: list[Mutation] = field(default_factory=list)
    tests: dict[str, list[str]] = field(default_factory=dict)

    @property
    def noticed(self) -> bool:
        """Whether a seeded fault of the row must be noticed by a rehearsal of the row."""
        names = {one.name for one in self.rehearsals}
        return any(names & set(mutation.form.failing) for mutation in self.mutations)


def read_rows(root: Path) -> list[Row]:
    """Return the rows, in their order."""
    listed = yaml.safe_load((root / ROWS).read_text(encoding="utf-8"))
    return [
        Row(str(row), str(pack), str(title))
        for pack, rows in listed.items()
        for row, title in rows.items()
    ]


def rows_of(mutation: Mutation) -> list[str]:
    """Return the rows that a mutation names."""
    begins = _ROW_IDS.match(mutation.form.mutation)
    named = [part.strip() for part in begins[0].split(",")] if begins else []
    return list(dict.fromkeys([*mutation.form.covers, *named]))


def gather(root: Path) -> dict[str, Shown]:
    """Return what shows each row, by its id; also of ids that are no row, for who looks for mistakes.

    Raises:
        InvalidProject: rehearsals or mutations cannot be read.
    """
    found: dict[str, Shown] = {}
    called = _playbooks_of_rules(root / "rules")
    for rehearsal in find([root / "playbooks"]):
        form = rehearsal.form
        for row in form.covers if form is not None else ():
            assert form is not None
            shown = found.setdefault(row, Shown())
            shown.rehearsals.append(rehearsal)
            playbook = form.playbook or called.get(form.rule or "", "")
            if playbook and playbook not in shown.playbooks:
                shown.playbooks.append(playbook)
    for mutation in find_mutations([root / "playbooks"]):
        for row in rows_of(mutation):
            found.setdefault(row, Shown()).mutations.append(mutation)
    for path in sorted((root / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for row in _claimed(text) if "\nCOVERS = " in text else ():
            parts = [part for word, part in _PARTS.items() if word in text]
            name = path.relative_to(root).as_posix()
            found.setdefault(row, Shown()).tests[name] = list(dict.fromkeys(parts))
    return found


def _playbooks_of_rules(folder: Path) -> dict[str, str]:
    rules: dict[str, str] = {}
    for path in sorted(folder.rglob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for rule in data.get("rules", ()) if isinstance(data, dict) else ():
            rules[str(rule.get("name"))] = str(rule.get("playbook", ""))
    return rules


def _claimed(text: str) -> Sequence[str]:
    """Return the rows of a test module's `COVERS`."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id == "COVERS" for one in node.targets
        ):
            return tuple(str(row) for row in ast.literal_eval(node.value))
    return ()


# ---- the page -------------------------------------------------------------------------------------


def page(rows: Iterable[Row], shown: Mapping[str, Shown]) -> str:
    """Return the page, in Markdown."""
    parts, pack = [_HEAD], ""
    for row in rows:
        if row.pack != pack:
            pack = row.pack
            parts.append(
                f"\n## {pack}\n\n| row | procedure | playbooks | rehearsals | seeded faults | real parts |\n"
                "|---|---|---|---|---|---|\n"
            )
        parts.append(_line(row, shown.get(row.id)))
    return "".join(parts)


def _line(row: Row, shown: Shown | None) -> str:
    if shown is None:
        return f"| {row.id} | {row.title} | not shown yet | | | |\n"
    files = Counter(one.path for one in shown.rehearsals)
    rehearsals = ", ".join(_linked(path, count) for path, count in files.items())
    cells = [
        row.id,
        row.title,
        ", ".join(f"`{name}`" for name in shown.playbooks),
        rehearsals,
        str(len(shown.mutations) or ""),
        _parts(shown),
    ]
    return f"| {' | '.join(cells)} |\n"


def _linked(path: Path, count: int) -> str:
    name = path.name.removesuffix(".rehearsal.yaml")
    times = f" ({count})" if count > 1 else ""
    return f"[{name}](../playbooks/{path.parent.name}/{path.name}){times}"


def _parts(shown: Shown) -> str:
    said = ["PostgreSQL"] if any(_has_database(one) for one in shown.rehearsals) else []
    said += [
        f"{', '.join(parts) or 'the engine'} ([{Path(test).stem}](../{test}))"
        for test, parts in shown.tests.items()
    ]
    return "; ".join(said)


def _has_database(rehearsal: Rehearsal) -> bool:
    """Whether a world of the rehearsal is a database with tables, which is a real one."""
    world: Any = rehearsal.form.world if rehearsal.form is not None else {}
    return any(
        isinstance(entry, dict) and ("tables" in entry or "sql" in entry)
        for entry in world.values()
    )


def write(root: Path) -> Path:
    """Write the page below `root` and return its path."""
    path = root / PAGE
    path.write_text(page(read_rows(root), gather(root)), encoding="utf-8")
    return path
