"""The action contract (DESIGN 6), asked of every registered action over a real target."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from engine.contract import (
    ActionFailed,
    Applied,
    CannotTell,
    Category,
    NotApplied,
    Planned,
    Unknown,
    Unplannable,
)
from engine.contract.registry import load_registry
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
def change(request: pytest.FixtureRequest) -> Any:
    case: ChangeCase = CHANGES[request.param](request)
    yield case
    case.connections.close()


each_change = pytest.mark.parametrize("change", CHANGES, indirect=True)


def planned_for(case: ChangeCase) -> Planned:
    return case.action.plan(
        case.action.Params.model_validate(case.params), case.connections.reading()
    )


def assert_silent(case: Case, said: object) -> None:
    """No secret in `said`, raw or in an encoding that errors carry."""
    text = said if isinstance(said, str) else json.dumps(said, default=str, ensure_ascii=False)
    for secret in case.secrets:
        raw = secret.encode()
        for form in (
            secret,
            base64.b64encode(raw).decode(),
            base64.b64encode(raw).decode().rstrip("=")[:-1],
            quote(secret, safe=""),
            quote_plus(secret),
            raw.hex(),
        ):
            assert form not in text


def test_every_registered_action_has_a_case() -> None:
    covered = {label.partition(":")[0] for label in [*CHANGES, *READS, *NOTIFIES]}
    assert set(load_registry().actions) <= covered


@pytest.mark.parametrize("name", load_registry().actions)
def test_parameters_explain_themselves(name: str) -> None:
    action = load_registry().action(name)
    assert action.summary
    assert action.__doc__
    for field, info in action.Params.model_fields.items():
        assert info.description, field
        assert info.examples, field
    schema = json.dumps(action.Params.model_json_schema())
    assert '"description"' in schema


@each_change
def test_a_plan_writes_nothing_and_says_the_same_again(change: ChangeCase) -> None:
    before, written = change.state(), len(change.writes())
    first, second = planned_for(change), planned_for(change)
    assert change.state() == before
    assert change.writes()[written:] == []
    assert first == second
    assert not first.is_no_op
    assert any(first.counts.values())
    assert first.summary
    assert first.reversible or first.why_irreversible
    assert Planned.from_json(json.loads(json.dumps(first.as_json()))) == first
    assert_silent(change, first.as_json())


@each_change
def test_applying_twice_with_one_key_acts_once(change: ChangeCase) -> None:
    planned = Planned.from_json(json.loads(json.dumps(planned_for(change).as_json())))
    first = change.action.apply(planned, change.connections.writing(), "key-1")
    after = change.state()
    if change.action.protection_of(planned).retry_safe:
        second = change.action.apply(planned, change.connections.writing(), "key-1")
        assert change.state() == after
        if change.secret_image:
            second = replace(second, before_image=first.before_image)
        assert second == first
    for name, value in planned.after.items():
        assert name in first.after
        assert isinstance(value, Unknown) or first.after[name] == value
    assert dict(first.counts) == dict(planned.counts)
    assert_silent(change, first.as_json())
    if not change.secret_image:  # the engine keeps images encrypted, and shows none
        assert_silent(change, first.before_image)
    change.settle()
    confirmed = change.action.confirm(planned, first, change.connections.reading(), "key-1")
    assert confirmed == Applied(first)


@each_change
def test_a_crash_between_effect_and_outcome_is_settled_by_asking(change: ChangeCase) -> None:
    planned = planned_for(change)
    reading = change.connections.reading()
    if not change.action.protection_of(planned).retry_safe:
        # The engine never repeats it by itself: a person decides. Only "it is there" may be certain.
        assert isinstance(change.action.confirm(planned, None, reading, "key-1"), CannotTell)
        change.action.apply(planned, change.connections.writing(), "key-1")
        found = change.action.confirm(planned, None, reading, "key-1")
        assert isinstance(found, CannotTell | Applied)
        return
    assert isinstance(change.action.confirm(planned, None, reading, "key-1"), NotApplied)
    lost = change.action.apply(planned, change.connections.writing(), "key-1")
    change.settle()
    after = change.state()
    found = change.action.confirm(planned, None, change.connections.reading(), "key-1")
    if change.action.protection_of(planned) == "provider_key":
        # The provider alone knows. Sending the same key again is safe, and gives the same answer.
        assert isinstance(found, NotApplied)
        again = change.action.apply(planned, change.connections.writing(), "key-1")
        assert again == lost
    else:
        assert isinstance(found, Applied)
        # The output may tell versions that the target counted on since; all else is what was lost.
        rebuilt = replace(found.receipt, output=lost.output)
        if change.secret_image:
            assert rebuilt.before_image is None
            assert any("a crash" in note for note in planned.notes)
            rebuilt = replace(rebuilt, before_image=lost.before_image)
        assert rebuilt == lost
    assert change.state() == after


@each_change
def test_undo_restores_everything_and_again_nothing(change: ChangeCase) -> None:
    before = change.state()
    planned = planned_for(change)
    receipt = change.action.apply(planned, change.connections.writing(), "key-1")
    assert change.state() != before
    if not planned.reversible:
        assert planned.why_irreversible
        return
    change.action.undo(planned, receipt, change.connections.writing(), "undo-1")
    assert change.state() == before
    if change.action.protection_of(planned) != "provider_key":
        change.action.undo(planned, receipt, change.connections.writing(), "undo-1")
        assert change.state() == before


@each_change
def test_undo_refuses_where_others_changed_the_same_since(change: ChangeCase) -> None:
    planned = planned_for(change)
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
    planned = planned_for(change)
    before, written = change.state(), len(change.writes())
    with pytest.raises(ActionFailed) as caught:
        change.action.apply(planned, change.connections.reading(), "key-1")
    assert not caught.value.effect_possible
    assert change.state() == before
    assert change.writes()[written:] == []


@each_change
def test_targets_locks_and_grants_are_named(change: ChangeCase) -> None:
    params = change.action.Params.model_validate(change.params)
    name = change.params["connection"]
    targets = change.action.targets(params)
    assert name in {target.connection for target in targets}
    assert change.action.locks(params)
    assert name in {grant.connection for grant in change.action.grants(params)}
    for target in targets:
        kind, _ = change.connections.settings[target.connection]
        assert kind.refuses(change.connections.checked(target.connection), target) is None


@pytest.mark.parametrize("label", READS)
def test_a_read_reads_and_writes_nothing(request: pytest.FixtureRequest, label: str) -> None:
    case: ReadCase = READS[label](request)
    before, written = case.state(), len(case.writes())
    params = case.action.Params.model_validate(case.params)
    for world in (case.connections.reading(), case.connections.writing()):
        output = case.action.read(params, world)
        json.dumps(output, allow_nan=False)
        case.check(output)
        assert_silent(case, output)
    assert case.state() == before
    assert case.writes()[written:] == []
    assert case.action.targets(params)
    case.connections.close()


@pytest.mark.parametrize("label", NOTIFIES)
def test_a_message_is_sent_once_a_key(request: pytest.FixtureRequest, label: str) -> None:
    case: NotifyCase = NOTIFIES[label](request)
    params = case.action.Params.model_validate(case.params)
    before = case.state()
    assert case.action.sent(params, case.connections.reading(), "key-1") is not True
    with pytest.raises(ActionFailed):
        case.action.send(params, case.connections.reading(), "key-1")
    assert case.state() == before
    case.action.send(params, case.connections.writing(), "key-1")
    after = case.state()
    assert after != before
    case.action.send(params, case.connections.writing(), "key-1")
    assert case.state() == after
    assert case.action.sent(params, case.connections.reading(), "key-1") is True
    assert case.action.sent(params, case.connections.reading(), "key-2") is not True
    case.action.send(params, case.connections.writing(), "key-2")
    assert case.state() != after


@pytest.mark.parametrize(("kind", "label"), FAULTS)
def test_failures_are_classified_and_keep_secrets(
    request: pytest.FixtureRequest, kind: str, label: str
) -> None:
    case = {"change": CHANGES, "read": READS, "notify": NOTIFIES}[kind][label](request)
    assert case.faults
    before = case.state()
    for name, fault in case.faults.items():
        with pytest.raises((ActionFailed, Unplannable)) as caught:
            attempt(case, fault.params, fault.connections)
        failure = caught.value
        assert_silent(case, f"{failure} {failure.__cause__} {failure.args}")
        assert isinstance(failure, ActionFailed), name
        assert failure.category is fault.category, f"{name}: {failure}"
        assert not failure.effect_possible, f"{name}: {failure}"
        assert failure.__suppress_context__ or failure.__context__ is None, name
        fault.connections.close()
    assert case.state() == before


def attempt(case: Case, params: Any, connections: Any) -> None:
    """Do with the action all that the engine would."""
    if isinstance(case, ReadCase):
        case.action.read(case.action.Params.model_validate(params), connections.reading())
    elif isinstance(case, NotifyCase):
        case.action.send(case.action.Params.model_validate(params), connections.writing(), "k")
    elif isinstance(case, ChangeCase):
        planned = case.action.plan(case.action.Params.model_validate(params), connections.reading())
        case.action.apply(planned, connections.writing(), "k")
