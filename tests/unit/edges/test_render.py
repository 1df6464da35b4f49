"""The renderers against golden text. `UPDATE_GOLDEN=1 pytest …` writes the files anew; read the diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.edges.cli.render import doctor, incident, plan, run
from engine.edges.cli.render.brakes import brakes
from engine.edges.cli.render.style import clean, counts_text, plain, value_text
from tests.unit.edges.samples import ALERT, GATE, INCIDENT, PLAN, RUN

GOLDEN = Path(__file__).parent / "golden"
BRAKES = [
    {
        "name": "breaker:etl/x",
        "engaged": False,
        "by": "bob",
        "reason": "",
        "at": "2026-11-22T03:00:00Z",
    },
    {
        "name": "kill",
        "engaged": True,
        "by": "alice",
        "reason": "outage",
        "at": "2026-11-23T03:00:00Z",
    },
]
ALL_BRAKES = {
    "items": BRAKES,
    "held": [{"run": "run-1", "playbook": "etl/x", "reason": "held by alice"}],
    "budgets": [
        {"name": "budget:global:pods", "used": 9, "limit": 10, "within": 3600.0},
        {"name": "budget:connection:cluster:pods", "used": 0, "limit": 5, "within": 600.0},
    ],
    "locks": [
        {
            "connection": "cluster",
            "path": "starforge/Deployment/etl",
            "run": "run-1",
            "playbook": "etl/x",
            "state": "held",
            "waiting": ["run-2"],
        }
    ],
    "places": [],
    "windows": [
        {
            "name": "db",
            "does": "hold",
            "open": True,
            "until": "2026-11-23T04:00:00Z",
            "opens": None,
            "playbooks": ["etl/*"],
            "connections": [],
            "reason": "upgrade",
        }
    ],
    "delegations": [
        {
            "id": "lent-1",
            "role": "sre",
            "from": "alice",
            "to": "bob",
            "until": "2026-11-23T12:00:00Z",
            "reason": "leave",
        }
    ],
    "pages": [
        {
            "id": "page-1",
            "level": "emergency",
            "raised_at": "2026-11-23T03:00:00Z",
            "told": 2,
            "reason": "run run-1 needs a person",
        }
    ],
}
FINDINGS = [
    {"name": "store", "ok": True, "message": "writable", "mend": ""},
    {"name": "clock", "ok": False, "message": "9.0 s from the store's", "mend": "set it by NTP"},
]
DEFECT = {**PLAN, "unplannable": ["slower"], "steps": [PLAN["steps"][0]]}

CASES: dict[str, Callable[[], object]] = {
    "plan": lambda: plan.plan(PLAN),
    "plan_unplannable": lambda: plan.plan(DEFECT),
    "plan_empty": lambda: plan.plan({**PLAN, "steps": [], "budget": {}}),
    "gate": lambda: run.gate(GATE),
    "gate_closed": lambda: run.gate({**GATE, "state": "approved", "missing": 0}),
    "gates": lambda: run.gates([GATE]),
    "run": lambda: run.run(RUN),
    "run_needs_human": lambda: run.run(
        {
            **RUN,
            "state": "needs_human",
            "gates": [],
            "holds": {"person": "did the call go through?"},
        }
    ),
    "runs": lambda: run.runs([RUN]),
    "alert": lambda: incident.alert(ALERT),
    "alerts": lambda: incident.alerts([ALERT]),
    "incident": lambda: incident.incident(INCIDENT),
    "incidents": lambda: incident.incidents([INCIDENT]),
    "brakes": lambda: brakes({"items": BRAKES}),
    "brakes_all": lambda: brakes(ALL_BRAKES),
    "doctor": lambda: doctor.findings(FINDINGS),
}


@pytest.mark.parametrize("name", CASES)
def test_rendered_text_is_as_agreed(name: str) -> None:
    shown = plain(CASES[name](), width=110)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_golden_file_has_its_case() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("a\x1b[31mb", "a[31mb"),
        ("one\ntwo\tthree", "one two three"),
        ("bell\x07 back\x08", "bell back"),
        ("\u202eevil", "evil"),  # right-to-left override: text that shows another than it is
        ("naïve → 值", "naïve → 值"),
    ],
)
def test_foreign_text_cannot_steer_the_terminal(foreign: str, shown: str) -> None:
    assert clean(foreign) == shown


def test_markup_in_foreign_text_is_shown_as_it_is() -> None:
    shown = plain(run.runs([{**RUN, "reason": "[bold red]not markup[/]"}]), width=200)
    assert "[bold red]not markup[/]" in shown


def test_long_values_are_cut_and_say_so() -> None:
    assert clean("x" * 500).endswith("…")
    assert len(clean("x" * 500, 10)) == 10


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("", '""'),
        ("8", "8"),
        (True, "true"),
        ({"$unknown": "after apply"}, "(after apply)"),
        ({"b": 1, "a": [1, 2]}, '{"a": [1, 2], "b": 1}'),
    ],
)
def test_values_of_a_diff(value: object, text: str) -> None:
    assert value_text(value) == text


def test_counts_are_singular_where_there_is_one() -> None:
    assert counts_text({"pods": 3, "rows": 1}) == "3 pods, 1 row"
