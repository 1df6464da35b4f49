"""The action contract as checks over cases: what every action must hold, whatever it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from engine.contract.action import Action, Applied, CannotTell, NotApplied, Protection
from engine.contract.testing.cases import Case, ChangeCase, NotifyCase, ReadCase
from engine.contract.testing.silence import spoken
from engine.domain.errors import ActionFailed, Unplannable
from engine.domain.plan import Planned, Receipt, Unknown

KEY, UNDO = "key-1", "undo-1"


class ContractBroken(AssertionError):
    """Something that the contract asks for does not hold."""


def hold(condition: object, what: str) -> None:
    """Raise ContractBroken saying `what` where the condition does not hold."""
    if not condition:
        raise ContractBroken(what)


def check(build: Callable[[], Case]) -> None:
    """Hold one action to all that the contract asks; `build` makes a fresh case, target included, each time.

    Raises:
        ContractBroken: what does not hold.
    """
    first = build()
    check_declaration(first.action)
    checks: tuple[Callable[[Any], None], ...]
    match first:
        case ChangeCase():
            checks = CHANGE
        case NotifyCase():
            checks = (message_is_sent_once_a_key,)
        case _:
            checks = (read_writes_nothing,)
    first.connections.close()
    for one in (*checks, failures_are_classified):
        made = build()
        try:
            one(made)
        finally:
            made.connections.close()


# ---------------------------------------------------------------- what is declared


def check_declaration(action: Action[Any]) -> None:
    """Every parameter has a description and an example, nested ones a description; the class says what it does."""
    hold(action.summary, f"{action.name}: has no summary")
    hold(action.__doc__, f"{action.name}: the class has no docstring")
    for name, info in action.Params.model_fields.items():
        hold(info.description, f"{action.name}: parameter {name} has no description")
        hold(info.examples, f"{action.name}: parameter {name} has no example")
    for model in _nested(action.Params, set()):
        for name, info in model.model_fields.items():
            what = f"{action.name}: {model.__name__}.{name} has no description"
            hold(info.description, what)


def _nested(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    for info in model.model_fields.values():
        stack = [info.annotation]
        while stack:
            one: Any = stack.pop()
            stack += getattr(one, "__args__", ())
            if isinstance(one, type) and issubclass(one, BaseModel) and one not in seen:
                seen.add(one)
                yield one
                yield from _nested(one, seen)


def targets_locks_and_grants_are_named(case: ChangeCase) -> None:
    """What it touches is named, lies at its connection, and is allowed there."""
    params = params_of(case)
    name = case.params["connection"]
    targets = case.action.targets(params)
    hold(name in {target.connection for target in targets}, "targets names no connection's target")
    hold(case.action.locks(params), "locks names nothing")
    rights = {grant.connection for grant in case.action.grants(params)}
    hold(name in rights, "grants names no right at the connection")
    for target in targets:
        kind, _ = case.connections.settings[target.connection]
        refusal = kind.refuses(case.connections.checked(target.connection), target)
        hold(refusal is None, f"the case's own target is refused: {refusal}")


# ---------------------------------------------------------------- changes


def plan_writes_nothing(case: ChangeCase) -> None:
    """A plan leaves the target as it is, says the same again, and is data."""
    before, written = case.state(), len(case.writes())
    first, second = planned_for(case), planned_for(case)
    hold(case.state() == before, "planning changed the target")
    hold(not case.writes()[written:], f"planning wrote: {case.writes()[written:]}")
    hold(first == second, "planning twice gives two plans")
    hold(not first.is_no_op, "the case's plan changes nothing")
    hold(any(first.counts.values()), "the plan counts nothing for budgets")
    hold(first.summary, "the plan has no summary")
    hold(first.reversible or first.why_irreversible, "an irreversible plan must say why")
    hold(_again(first) == first, "the plan is not JSON")
    silent(case, first.as_json())


def applied_twice_acts_once(case: ChangeCase) -> None:
    """The same key acts once; the receipt is what was planned; confirm finds it."""
    planned = _again(planned_for(case))
    first = _apply(case, planned)
    after = case.state()
    if case.action.protection_of(planned).retry_safe:
        second = _apply(case, planned)
        hold(case.state() == after, "applying again with the same key acted again")
        if case.secret_image:
            second = replace(second, before_image=first.before_image)
        hold(second == first, "applying again with the same key gave another receipt")
    for name, value in planned.after.items():
        hold(name in first.after, f"the receipt lacks {name}, which the plan names")
        told = isinstance(value, Unknown) or first.after[name] == value
        hold(told, f"the receipt's {name} is not the plan's")
    hold(dict(first.counts) == dict(planned.counts), "the receipt counts other than the plan")
    silent(case, first.as_json())
    if not case.secret_image:  # the engine keeps images encrypted, and shows none
        silent(case, first.before_image)
    case.settle()
    confirmed = case.action.confirm(planned, first, case.connections.reading(), KEY)
    hold(confirmed == Applied(first), f"confirm with the receipt says {confirmed}")


def crash_is_settled(case: ChangeCase) -> None:
    """After a crash between effect and outcome, confirm tells, or leaves it to a person."""
    planned = planned_for(case)
    protection = case.action.protection_of(planned)
    asked = case.action.confirm(planned, None, case.connections.reading(), KEY)
    if not protection.retry_safe:
        # The engine never repeats it by itself: a person decides. Only "it is there" may be certain.
        hold(isinstance(asked, CannotTell), f"unprotected, confirm before it says {asked}")
        _apply(case, planned)
        found = case.action.confirm(planned, None, case.connections.reading(), KEY)
        hold(isinstance(found, CannotTell | Applied), f"unprotected, confirm after it says {found}")
        return
    hold(isinstance(asked, NotApplied), f"nothing was done, and confirm says {asked}")
    lost = _apply(case, planned)
    case.settle()
    after = case.state()
    found = case.action.confirm(planned, None, case.connections.reading(), KEY)
    if protection is Protection.PROVIDER_KEY:
        # The provider alone knows. Sending the same key again is safe, and gives the same answer.
        hold(isinstance(found, NotApplied), f"the provider alone knows, and confirm says {found}")
        hold(_apply(case, planned) == lost, "the same key gave another answer")
    else:
        _rebuilt_is(case, planned, found, lost)
    hold(case.state() == after, "asking, or asking again, changed the target")


def _rebuilt_is(case: ChangeCase, planned: Planned, found: object, lost: Receipt) -> None:
    if not isinstance(found, Applied):
        raise ContractBroken(f"the effect is there, and confirm says {found}")
    # The output may tell versions that the target counted on since; all else is what was lost.
    rebuilt = replace(found.receipt, output=lost.output)
    if case.secret_image:
        hold(rebuilt.before_image is None, "a secret before-image was rebuilt")
        told = any("a crash" in note for note in planned.notes)
        hold(told, "the plan does not say that a crash loses the secret before-image")
        rebuilt = replace(rebuilt, before_image=lost.before_image)
    hold(rebuilt == lost, "the receipt that confirm rebuilt is another than the lost one")


def undo_restores_everything(case: ChangeCase) -> None:
    """Undo restores all that the case's state shows; again it changes nothing."""
    before = case.state()
    planned = planned_for(case)
    receipt = _apply(case, planned)
    hold(case.state() != before, "applying changed nothing that the case's state shows")
    if not planned.reversible:
        hold(planned.why_irreversible, "an irreversible plan must say why")
        return
    case.action.undo(planned, receipt, case.connections.writing(), UNDO)
    hold(case.state() == before, "undo did not restore what was there")
    if case.action.protection_of(planned) is not Protection.PROVIDER_KEY:
        case.action.undo(planned, receipt, case.connections.writing(), UNDO)
        hold(case.state() == before, "undoing again with the same key acted again")


def read_only_world_lets_nothing_through(case: ChangeCase) -> None:
    """In a world that is not writable, apply fails before anything is sent."""
    planned = planned_for(case)
    before, written = case.state(), len(case.writes())
    try:
        case.action.apply(planned, case.connections.reading(), KEY)
    except ActionFailed as failure:
        hold(
            not failure.effect_possible, "a read-only world's refusal says that something happened"
        )
    else:
        raise ContractBroken("a read-only world let a change through")
    hold(case.state() == before, "a read-only world let a change through")
    hold(not case.writes()[written:], f"a read-only world sent {case.writes()[written:]}")


CHANGE = (
    targets_locks_and_grants_are_named,
    plan_writes_nothing,
    applied_twice_acts_once,
    crash_is_settled,
    undo_restores_everything,
    read_only_world_lets_nothing_through,
)


# ---------------------------------------------------------------- reads and messages


def read_writes_nothing(case: ReadCase) -> None:
    """A read leaves the target alone and gives bounded JSON without secrets."""
    before, written = case.state(), len(case.writes())
    params = params_of(case)
    for world in (case.connections.reading(), case.connections.writing()):
        output = case.action.read(params, world)
        json.dumps(output, allow_nan=False)
        case.check(output)
        silent(case, output)
    hold(case.state() == before, "reading changed the target")
    hold(not case.writes()[written:], f"reading wrote: {case.writes()[written:]}")
    touches = (
        "connection" in type(params).model_fields
    )  # else it only reckons with what it is given
    hold(case.action.targets(params) or not touches, "targets names nothing")


def message_is_sent_once_a_key(case: NotifyCase) -> None:
    """One key, one message; `sent` tells; a read-only world sends nothing."""
    params = params_of(case)
    action, reading = case.action, case.connections.reading
    writing = case.connections.writing
    before = case.state()
    hold(action.sent(params, reading(), KEY) is not True, "sent says so before it was")
    try:
        action.send(params, reading(), KEY)
    except ActionFailed:
        pass
    else:
        raise ContractBroken("a read-only world let a message through")
    hold(case.state() == before, "a read-only world let a message through")
    silent(case, action.send(params, writing(), KEY))
    after = case.state()
    hold(after != before, "sending changed nothing that the case's state shows")
    action.send(params, writing(), KEY)
    hold(case.state() == after, "the same key was sent again")
    hold(action.sent(params, reading(), KEY) is True, "sent does not find the message")
    hold(action.sent(params, reading(), "key-2") is not True, "sent finds what was not sent")
    action.send(params, writing(), "key-2")
    hold(case.state() != after, "another key was not sent")


# ---------------------------------------------------------------- failures


def failures_are_classified(case: Case) -> None:
    """Each fault gives its category, says that nothing happened, and shows no secret."""
    before = case.state()
    for name, fault in case.faults.items():
        try:
            attempt(case, fault.params, fault.connections)
        except (ActionFailed, Unplannable) as failure:
            said = f"{failure} {failure.__cause__} {failure.args}"
            silent(case, said)
            if not isinstance(failure, ActionFailed):
                raise ContractBroken(f"{name}: is unplannable, not a failure: {failure}") from None
            fits = failure.category is fault.category
            hold(fits, f"{name}: is {failure.category}, not {fault.category}: {failure}")
            hold(not failure.effect_possible, f"{name}: says that something happened: {failure}")
            bare = failure.__suppress_context__ or failure.__context__ is None
            hold(bare, f"{name}: the driver's own error hangs on it; raise … from None")
        else:
            raise ContractBroken(f"{name}: did not fail")
        finally:
            fault.connections.close()
    hold(case.state() == before, "a failing attempt changed the target")


def attempt(case: Case, params: Any, connections: Any) -> None:
    """Do with the action all that the engine would."""
    checked = case.action.Params.model_validate(params)
    if isinstance(case, ReadCase):
        case.action.read(checked, connections.reading())
    elif isinstance(case, NotifyCase):
        case.action.send(checked, connections.writing(), "k")
    elif isinstance(case, ChangeCase):
        planned = case.action.plan(checked, connections.reading())
        case.action.apply(planned, connections.writing(), "k")


def params_of(case: Case) -> Any:
    """Return the case's parameters, checked."""
    return case.action.Params.model_validate(case.params)


def planned_for(case: ChangeCase) -> Planned:
    """Return the case's plan."""
    return case.action.plan(params_of(case), case.connections.reading())


def silent(case: Case, said: object) -> None:
    """No secret of the case in what is said."""
    found = spoken(said, case.secrets)
    hold(found is None, f"{found} surfaces")


def _apply(case: ChangeCase, planned: Planned) -> Receipt:
    return case.action.apply(planned, case.connections.writing(), KEY)


def _again(planned: Planned) -> Planned:
    return Planned.from_json(json.loads(json.dumps(planned.as_json())))
