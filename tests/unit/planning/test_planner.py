"""Plans of programs over the toy system: exact, chained, stable, and without a write."""

from __future__ import annotations

import random
from typing import Any

import pytest

from engine.domain.clock import ManualClock
from engine.domain.plan import Unknown
from engine.language.program import Program
from engine.planning.document import PlanDocument, PlanStep
from engine.planning.planner import Planner
from engine.running.secrets import Secrets
from engine.running.world import Connection, Connections
from tests.harness_programs import program, setting
from tests.toys import Table, ToySettings, toy_registry


def plan(table: Table, what: Program, **inputs: Any) -> PlanDocument:
    registry = toy_registry(table)
    clock = ManualClock()
    connections = Connections(
        registry,
        {"toy": Connection("toy", registry.kinds["toy"], ToySettings())},
        Secrets(lambda name: f"value of {name}"),
        clock,
        lambda _reference: "",
    )
    return Planner(registry, connections, clock.now).preview(what, inputs)


def line(document: PlanDocument, address: str) -> PlanStep:
    found = document.step(address)
    assert found is not None, [step.address for step in document.steps]
    return found


@pytest.fixture
def table() -> Table:
    return Table(x=1, y=10)


def test_reads_before_the_first_change_are_frozen_later_ones_are_not(table: Table) -> None:
    read = {"action": "toy.get", "with": {"name": "x"}}
    document = plan(
        table, program({"id": "a", **read}, setting("set", "y", 2), {"id": "b", **read})
    )
    assert [step.state for step in document.steps] == ["read", "planned", "later"]
    assert table.reads.count("x") == 1
    assert table.writes == []


def test_what_depends_on_a_changes_output_is_known_after_apply(table: Table) -> None:
    document = plan(
        table,
        program(
            setting("one", "x", 2),
            setting("two", "y", "{{ steps.one.after.value }}", bounds={"value": {"max": 5}}),
            setting("three", "y", 3, when="steps.one is changed"),
        ),
    )
    assert line(document, "one").state == "planned"
    assert line(document, "two").state == "unknown"
    assert line(document, "two").bounds == {"value": {"min": None, "max": 5.0}}
    assert "known after one" in line(document, "three").reason


def test_a_switch_on_something_unknown_shows_all_its_branches(table: Table) -> None:
    document = plan(
        table,
        program(
            setting("one", "x", 2),
            {
                "id": "which",
                "kind": "switch",
                "switch": "{{ steps.one.after.value }}",
                "cases": [{"value": "2", "steps": [{"kind": "action", **setting("a", "y", 3)}]}],
                "default": [{"kind": "action", **setting("b", "y", 4)}],
            },
        ),
    )
    unknown = [step.address for step in document.steps if step.state == "unknown"]
    assert unknown == ["which", "which>a", "which>b"]
    assert document.asks


def test_each_before_is_the_previous_after_and_restore_shows_the_way_back(table: Table) -> None:
    document = plan(
        table,
        program(
            setting("one", "x", 2),
            setting("two", "x", 3),
            {"id": "back", "kind": "restore", "restore": ["one", "two"]},
            setting("four", "x", 4),
        ),
    )
    befores = [step.planned.before["value"] for step in document.steps if step.planned]
    assert befores == [1, 2, 1]
    back = line(document, "back").detail["changes"]
    assert [(item["before"]["value"], item["after"]["value"]) for item in back] == [(3, 2), (2, 1)]


def test_a_rescue_is_planned_as_a_possibility(table: Table) -> None:
    document = plan(
        table,
        program(
            {"id": "say", "action": "toy.say", "with": {"text": "hi"}},
            rescue=[setting("r", "x", 9)],
        ),
    )
    assert line(document, "r").conditional
    assert not document.asks


def test_finally_is_part_of_the_plan(table: Table) -> None:
    document = plan(
        table, program(setting("one", "x", 2), **{"finally": [setting("last", "y", 0)]})
    )
    assert line(document, "last").state == "planned"


def test_gates_and_waits_are_shown_and_passed(table: Table) -> None:
    document = plan(
        table,
        program(
            {"id": "ok", "kind": "gate", "role": "sre", "approvals": 2},
            {"id": "w", "kind": "wait", "for_": 60},
            setting("one", "x", 2),
        ),
    )
    assert [step.state for step in document.steps] == ["gate", "wait", "planned"]


def test_foreach_is_planned_item_by_item(table: Table) -> None:
    document = plan(
        table,
        program(
            {
                **setting("each", "{{ item }}", 5),
                "foreach": {"items": ["x", "y"], "key": "{{ item }}"},
            }
        ),
    )
    assert [step.address for step in document.steps] == ["each", "each[x]", "each[y]"]
    assert document.budget() == {}


def test_a_change_that_cannot_be_planned_is_named(table: Table) -> None:
    document = plan(table, program(setting("one", "x", "unplannable")))
    assert document.failed is not None
    assert document.unplannable[0].reason == "this value cannot be planned"


def test_the_fingerprint_is_stable_across_dictionary_order_and_json(table: Table) -> None:
    what = program(setting("one", "x", {"b": 1, "a": 2}), setting("two", "y", 3))
    first = plan(table, what, p=1, q=2)
    second = plan(table, what, q=2, p=1)
    assert first.fingerprint == second.fingerprint
    assert PlanDocument.from_json(first.as_json()).fingerprint == first.fingerprint


@pytest.mark.parametrize("seed", range(20))
def test_the_fingerprint_moves_with_befores_and_parameters_only(seed: int, table: Table) -> None:
    rng = random.Random(seed)
    what = program(
        {"id": "r", "action": "toy.get", "with": {"name": "y"}},
        setting("one", "x", rng.randint(100, 200)),
    )
    before = plan(table, what).fingerprint
    table.values["y"] = rng.randint(11, 99)
    assert plan(table, what).fingerprint == before, "a raw read is not covered"
    table.values["x"] = rng.randint(11, 99)
    assert plan(table, what).fingerprint != before


def test_unknown_values_survive_json() -> None:
    from engine.domain.plan import from_json, to_json

    value = {"a": [Unknown("later"), 1], "b": {"c": Unknown()}}
    assert from_json(to_json(value)) == value


def test_secrets_are_shown_by_reference(table: Table) -> None:
    document = plan(table, program(setting("one", "x", "{{ secret('token') }}")))
    assert "value of token" not in repr(document.as_json())
    assert table.writes == []
