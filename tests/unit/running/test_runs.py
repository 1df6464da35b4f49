"""Whole runs over the toy system, from plan to end, and every kind of flow. Asserts on effects and journals."""

from __future__ import annotations

from engine.domain.run import RunMode, RunState
from tests.harness import BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

# ---------------------------------------------------------------- the straight way


def test_a_run_reads_changes_and_ends(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "now", "action": "toy.get", "with": {"name": "x"}},
        setting("set", "x", "{{ steps.now.value + 1 }}"),
        outputs={"was": "{{ steps.now.value }}", "changed": "{{ steps.set is changed }}"},
    )
    row = engine.run(plan)
    assert row.state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]
    end = engine.entries(row.id)[-1]
    assert end.kind == "run.ended"
    assert end.body["outputs"] == {"was": 1, "changed": True}


def test_intent_stands_before_the_effect_and_outcome_after(engine: Harness) -> None:
    row = engine.run(program(setting("set", "x", 2)))
    kinds = engine.kinds(row.id)
    assert kinds.index("run.planned") < kinds.index("step.intent") < kinds.index("step.outcome")


def test_a_change_that_is_already_so_writes_nothing(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("set", "x", 1)))
    assert row.state is RunState.SUCCEEDED
    assert table.writes == []
    assert "step.intent" not in engine.kinds(row.id)
    assert engine.outcome(row.id, "set")["changed"] is False


def test_dry_run_ends_planned_and_writes_nothing(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("set", "x", 2)), RunMode.DRY_RUN)
    assert row.state is RunState.PLANNED
    assert table.writes == []
    document = engine.store.read(lambda tx: tx.blobs.plan(row.id))
    (line,) = document["steps"]
    assert (line["before"], line["after"]) == ({"value": 1}, {"value": 2})


def test_a_plan_chains_changes_of_one_target(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "x", 3)), RunMode.DRY_RUN)
    document = engine.store.read(lambda tx: tx.blobs.plan(row.id))
    assert [line["before"]["value"] for line in document["steps"]] == [1, 2]
    done = engine.run(program(setting("one", "x", 2), setting("two", "x", 3)))
    assert done.state is RunState.SUCCEEDED
    assert table.writes == [("x", 2), ("x", 3)]


def test_unplannable_fails_before_anything_changed(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "y", "unplannable")))
    assert row.state is RunState.FAILED
    assert "nothing was changed" in row.reason
    assert table.writes == []


# ---------------------------------------------------------------- flow


def test_when_skips_with_its_reason(engine: Harness, table: Table) -> None:
    plan = program(
        setting("no", "x", 2, when="inputs.go"),
        setting("yes", "y", 3, when="not (steps.no is succeeded)"),
    )
    row = engine.run(plan, go=False)
    assert table.writes == [("y", 3)]
    assert engine.outcome(row.id, "no") == {
        "state": "skipped",
        "address": "no",
        "reason": "when inputs.go is false",
    }


def test_switch_takes_one_case(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "now", "action": "toy.get", "with": {"name": "x"}},
        {
            "id": "which",
            "kind": "switch",
            "switch": "{{ 'one' if steps.now.value == 1 else 'many' }}",
            "cases": [
                {"value": "one", "steps": [{"kind": "action", **setting("a", "x", 5)}]},
                {"value": "many", "steps": [{"kind": "action", **setting("b", "x", 6)}]},
            ],
        },
    )
    assert engine.run(plan).state is RunState.SUCCEEDED
    assert table.writes == [("x", 5)]


def test_foreach_runs_once_an_item_and_lists_its_outputs(engine: Harness, table: Table) -> None:
    plan = program(
        {
            **setting("each", "{{ item.name }}", "{{ item.to }}"),
            "foreach": {"items": "{{ inputs.all }}", "key": "{{ item.name }}", "concurrency": 2},
        },
        outputs={"names": "{{ steps.each | map(attribute='key') | list }}"},
    )
    row = engine.run(plan, all=[{"name": "x", "to": 7}, {"name": "y", "to": 8}])
    assert row.state is RunState.SUCCEEDED
    assert sorted(table.writes) == [("x", 7), ("y", 8)]
    assert engine.entries(row.id)[-1].body["outputs"] == {"names": ["x", "y"]}


def test_a_foreach_that_was_approved_unseen_keeps_to_its_bound(
    engine: Harness, table: Table
) -> None:
    plan = program(
        {"id": "pause", "kind": "wait", "for_": 60},
        {"id": "look", "kind": "action", "action": "toy.get", "with": {"name": "n"}},
        {
            **setting("each", "{{ item | string }}", 1),
            "foreach": {"items": "{{ range(steps.look.value) | list }}"},
            "bounds": {"items": {"max": 2}, "value": {"max": 1}},
        },
    )
    for mode, parked in (
        (RunMode.APPROVE, RunState.AWAITING_APPROVAL),
        (RunMode.AUTO, RunState.NEEDS_HUMAN),
    ):
        table.values["n"] = 3
        run_id = engine.start(plan, mode)
        engine.settle()
        if mode is RunMode.APPROVE:
            engine.commands.approve(run_id, BOB)
            engine.settle()
        engine.pass_time(61, step=61)
        assert engine.row(run_id).state is parked
        assert table.writes == []
        drift = [entry.body for entry in engine.entries(run_id) if entry.kind == "drift.found"]
        assert drift[0]["field"] == "items"
        assert drift[0]["live"] == 3
    table.values["n"] = 2
    within = engine.start(plan, RunMode.APPROVE)
    engine.settle()
    engine.commands.approve(within, BOB)
    engine.settle()
    engine.pass_time(61, step=61)
    assert engine.row(within).state is RunState.SUCCEEDED
    assert table.writes == [("0", 1), ("1", 1)]


def test_a_foreach_beyond_its_bound_is_approved_once_it_is_seen(
    engine: Harness, table: Table
) -> None:
    plan = program(
        {"id": "pause", "kind": "wait", "for_": 60},
        {"id": "look", "kind": "action", "action": "toy.get", "with": {"name": "n"}},
        {
            **setting("each", "{{ item | string }}", 1),
            "foreach": {"items": "{{ range(steps.look.value) | list }}"},
            "bounds": {"items": {"max": 2}, "value": {"max": 1}},
        },
    )
    table.values["n"] = 3
    run_id = engine.start(plan, RunMode.APPROVE)
    engine.settle()
    engine.commands.approve(run_id, BOB)
    engine.settle()
    engine.pass_time(61, step=61)
    engine.commands.approve(run_id, BOB)
    engine.settle()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert len(table.writes) == 3


def test_foreach_tolerates_as_many_failures_as_it_says(engine: Harness, table: Table) -> None:
    items = [{"name": name} for name in ("x", "absent", "y", "list")]
    plan = program(
        {
            "id": "each",
            "action": "toy.get",
            "with": {"name": "{{ item.name }}"},
            "foreach": {"items": "{{ inputs.all }}", "tolerate": "25%"},
        }
    )
    row = engine.run(plan, all=items)
    assert row.state is RunState.SUCCEEDED
    states = [item["state"] for item in engine.outcome(row.id, "each")["output"]]
    assert states == ["succeeded", "failed", "succeeded", "succeeded"]
    strict = program(
        {**plan.steps[0].model_dump(by_alias=True), "foreach": {"items": "{{ inputs.all }}"}}
    )
    assert engine.run(strict, all=items).state is RunState.FAILED


def test_parallel_joins_and_group_shares_its_when(engine: Harness, table: Table) -> None:
    plan = program(
        {
            "id": "both",
            "kind": "parallel",
            "steps": [
                {"kind": "action", **setting("a", "x", 5)},
                {"kind": "action", **setting("b", "y", 6)},
            ],
        },
        {
            "id": "never",
            "kind": "group",
            "when": "inputs.go",
            "steps": [{"kind": "action", **setting("c", "x", 9)}],
        },
    )
    row = engine.run(plan, go=False)
    assert row.state is RunState.SUCCEEDED
    assert sorted(table.writes) == [("x", 5), ("y", 6)]


def test_a_sub_playbook_has_its_own_inputs_steps_and_outputs(engine: Harness, table: Table) -> None:
    inner = program(
        setting("set", "{{ inputs.name }}", "{{ inputs.to }}"),
        inputs={
            "type": "object",
            "properties": {"name": {"type": "string"}, "to": {"type": "integer", "default": 4}},
            "required": ["name"],
        },
        outputs={"was": "{{ steps.set.before.value }}"},
    )
    call = {
        "id": "call",
        "kind": "playbook",
        "with": {"name": "x"},
        "program": inner.model_dump(by_alias=True),
    }
    row = engine.run(program(call, outputs={"was": "{{ steps.call.was }}"}))
    assert row.state is RunState.SUCCEEDED
    assert table.writes == [("x", 4)]
    assert engine.outcome(row.id, "call.set")["state"] == "succeeded"
    assert engine.entries(row.id)[-1].body["outputs"] == {"was": 1}


def test_end_ends_the_run_and_finally_still_runs(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "stop", "kind": "end", "end": "needs_human", "reason": "look at {{ inputs.what }}"},
        setting("never", "x", 2),
        **{"finally": [setting("last", "y", 0)]},
    )
    row = engine.run(plan, what="this")
    assert row.state is RunState.NEEDS_HUMAN
    assert row.reason == "look at this"
    assert table.writes == [("y", 0)]


# ---------------------------------------------------------------- allow-lists and secrets


def test_a_connections_allow_list_holds_whatever_the_inputs_say(
    engine: Harness, table: Table
) -> None:
    engine.settings.allow.append("y")
    row = engine.run(program(setting("set", "{{ inputs.which }}", 2)), which="x")
    assert row.state is RunState.FAILED
    assert "does not allow x" in row.reason
    assert table.writes == []


def test_secrets_reach_the_call_and_nothing_else(engine: Harness, table: Table) -> None:
    engine.secrets["token"] = "hunter2-hunter2"
    row = engine.run(program(setting("set", "x", "Bearer {{ secret('token') }}")))
    assert row.state is RunState.SUCCEEDED
    assert table.writes == [("x", "Bearer hunter2-hunter2")]
    everything = repr(engine.entries(row.id)) + repr(
        engine.store.read(lambda tx: tx.blobs.plan(row.id))
    )
    assert "hunter2" not in everything


def test_text_from_outside_cannot_name_a_secret(engine: Harness, table: Table) -> None:
    engine.secrets["token"] = "hunter2-hunter2"
    forged = "\u2063secret:token\u2063"
    table.values["y"] = forged
    plan = program(
        {"id": "now", "action": "toy.get", "with": {"name": "y"}},
        setting("one", "x", "{{ inputs.text }}"),
        setting("two", "list", "{{ steps.now.value }}"),
    )
    assert engine.run(plan, text=forged).state is RunState.SUCCEEDED
    assert table.writes == [("x", "secret:token"), ("list", "secret:token")]
