"""The action contract (DESIGN 6), asked of every registered action over a real target."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.contract import ActionFailed, Category
from engine.contract.registry import load_registry
from engine.contract.testing import check_declaration, checks
from tests.contract.actions.cases import (
    Case,
    ChangeCase,
    NotifyCase,
    ReadCase,
    changes,
    notifies,
    reads,
)

pytestmark = pytest.mark.real
CHANGES, READS, NOTIFIES = changes(), reads(), notifies()
# One case of each action: what fails is the way to the target, the same for all its cases.
FAULTS = {
    label.partition(":")[0]: (kind, label)
    for kind, cases in (("change", CHANGES), ("read", READS), ("notify", NOTIFIES))
    for label in reversed(cases)
}.values()


@pytest.fixture
def change(request: pytest.FixtureRequest) -> Iterator[ChangeCase]:
    case: ChangeCase = CHANGES[request.param](request)
    yield case
    case.connections.close()


each_change = pytest.mark.parametrize("change", CHANGES, indirect=True)


def test_every_registered_action_has_a_case() -> None:
    covered = {label.partition(":")[0] for label in [*CHANGES, *READS, *NOTIFIES]}
    assert set(load_registry().actions) <= covered


@pytest.mark.parametrize("name", load_registry().actions)
def test_parameters_explain_themselves(name: str) -> None:
    check_declaration(load_registry().action(name))


@each_change
def test_a_plan_writes_nothing_and_says_the_same_again(change: ChangeCase) -> None:
    checks.plan_writes_nothing(change)


@each_change
def test_applying_twice_with_one_key_acts_once(change: ChangeCase) -> None:
    checks.applied_twice_acts_once(change)


@each_change
def test_a_crash_between_effect_and_outcome_is_settled_by_asking(change: ChangeCase) -> None:
    checks.crash_is_settled(change)


@each_change
def test_undo_restores_everything_and_again_nothing(change: ChangeCase) -> None:
    checks.undo_restores_everything(change)


@each_change
def test_undo_refuses_where_others_changed_the_same_since(change: ChangeCase) -> None:
    planned = checks.planned_for(change)
    if change.meddle is None:
        pytest.skip("nothing of others can be in the way of this undo")
    receipt = change.action.apply(planned, change.connections.writing(), "key-1")
    change.meddle()
    after = change.state()
    with pytest.raises(ActionFailed) as caught:
        change.action.undo(planned, receipt, change.connections.writing(), "undo-1")
    assert caught.value.category is Category.DATA
    assert change.conflict in str(caught.value)
    assert change.state() == after


@each_change
def test_a_read_only_world_lets_no_write_through(change: ChangeCase) -> None:
    checks.read_only_world_lets_nothing_through(change)


@each_change
def test_targets_locks_and_grants_are_named(change: ChangeCase) -> None:
    checks.targets_locks_and_grants_are_named(change)


@pytest.mark.parametrize("label", READS)
def test_a_read_reads_and_writes_nothing(request: pytest.FixtureRequest, label: str) -> None:
    case: ReadCase = READS[label](request)
    checks.read_writes_nothing(case)
    case.connections.close()


@pytest.mark.parametrize("label", NOTIFIES)
def test_a_message_is_sent_once_a_key(request: pytest.FixtureRequest, label: str) -> None:
    case: NotifyCase = NOTIFIES[label](request)
    checks.message_is_sent_once_a_key(case)
    case.connections.close()


@pytest.mark.parametrize(("kind", "label"), FAULTS)
def test_failures_are_classified_and_keep_secrets(
    request: pytest.FixtureRequest, kind: str, label: str
) -> None:
    case: Case = {"change": CHANGES, "read": READS, "notify": NOTIFIES}[kind][label](request)
    assert case.faults
    checks.failures_are_classified(case)
