"""A world of recorded answers: what a connection's actions return, whatever kind it is.

The action itself is not asked: a read returns its recorded output; a change is planned as recorded, and
applying, confirming and undoing it are kept here by its key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, TypeAdapter

from engine.contract.action import (
    Action,
    ActionParams,
    Applied,
    Change,
    Confirmation,
    NotApplied,
    Notify,
    Protection,
    Read,
)
from engine.contract.registry import Registry
from engine.contract.world import Grant, World
from engine.domain.canonical import Json, JsonObject, canonical_json
from engine.domain.plan import Planned, Receipt, Target, Unknown, from_json
from engine.domain.rehearsed import Message, NetChange, Scene, Unanswered
from worlds.rehearsal.specs import After, Failing, Slot, Span, Spec, choose, contains


class PlannedForm(Spec):
    """What a change will do: its target, and the fields before and after."""

    target: str
    before: JsonObject = {}
    after: JsonObject = {}
    counts: dict[str, int] = {}
    summary: str = ""
    reversible: bool = True


class Answer(Spec):
    """What one action returns: a read's or a notification's output, or a change's plan."""

    action: str = Field(description="The action", examples=["postgres.query"])
    with_: JsonObject = Field({}, alias="with", description="Of its parameters, at least these")
    output: Json = Field(None, description="What a read returns")
    planned: PlannedForm | None = Field(None, description="What a change will do")
    fail: Failing | None = Field(None, description="It fails")
    times: int | None = Field(None, ge=1, description="How often; always where left out")
    slow: Span = Field(0.0, description="How long it takes")
    after: After | None = Field(None, description="Holds only after a step")
    optional: bool = Field(False, description="It need not be asked for")


class AnswersForm(Spec):
    """Recorded answers of a connection."""

    answers: list[Answer]

    def holds(self, target: str) -> bool | None:
        return any(one.planned is not None and one.planned.target == target for one in self.answers)


ANSWERS: TypeAdapter[AnswersForm] = TypeAdapter(AnswersForm)


def is_answers(entry: Any) -> bool:
    """Tell whether an entry of `world:` is one of recorded answers."""
    return isinstance(entry, Mapping) and set(entry) == {"answers"}


class AnsweredWorld:
    """The recorded answers of one connection, and the changes that were made by them."""

    def __init__(self, form: AnswersForm, scene: Scene) -> None:
        self._slots = [Slot(entry) for entry in form.answers]
        self._scene = scene
        self._unanswered: list[str] = []
        self.applied: dict[str, Receipt] = {}
        self._told: list[Message] = []
        self._net: dict[str, dict[str, tuple[Json, Json]]] = {}

    # ------------------------------------------------------------ asked by the actions

    def answer(self, action: str, params: ActionParams) -> Answer:
        """Return the answer to a call.

        Raises:
            Unanswered: there is none. ActionFailed: it is to fail.
        """
        given = params.model_dump(mode="json", by_alias=True)
        slot = choose(
            self._slots,
            self._scene,
            lambda one: _fits(one, action, given),
            self._scene.clock.now(),
        )
        if slot is None:
            shown = canonical_json({k: v for k, v in given.items() if v not in (None, {}, [])})
            call = f"{action} with {shown[:400]}"
            self._unanswered.append(f"{self._scene.connection}: {call}")
            raise Unanswered(self._scene.connection, call)
        slot.used += 1
        self._scene.clock.sleep(slot.entry.slow)
        if slot.entry.fail:
            raise slot.entry.fail.error(self._scene.connection)
        return slot.entry

    def apply(self, planned: Planned, key: str) -> Receipt:
        if key not in self.applied:
            known = {
                name: value
                for name, value in planned.after.items()
                if not isinstance(value, Unknown)
            }
            self.applied[key] = Receipt(known, dict(planned.counts), dict(planned.before), {})
            self._differ(planned.target.path, planned.before, known)
        return self.applied[key]

    def undo(self, planned: Planned, key: str) -> Receipt:
        if key not in self.applied:
            self.applied[key] = Receipt(dict(planned.before), dict(planned.counts))
            self._differ(planned.target.path, planned.after, planned.before)
        return self.applied[key]

    def tell(self, text: str) -> None:
        self._told.append(Message(self._scene.clock.now(), self._scene.connection, text))

    def _differ(self, target: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        net = self._net.setdefault(target, {})
        for name in {*old, *new}:
            before = net[name][0] if name in net else old.get(name)
            net[name] = (before, new.get(name))

    # ------------------------------------------------------------ asked by the rehearsal

    def settings(self) -> Mapping[str, Any]:
        return {}

    def transport(self, *, writable: bool) -> Any:
        del writable

    def changes(self) -> Sequence[NetChange]:
        found = []
        for target, net in self._net.items():
            fields = {name: pair for name, pair in net.items() if pair[0] != pair[1]}
            if fields:
                found.append(NetChange(target, fields))
        return found

    def messages(self) -> Sequence[Message]:
        return self._told

    def unanswered(self) -> Sequence[str]:
        return self._unanswered

    def unasked(self) -> Sequence[str]:
        return [
            f"answer of {slot.entry.action} with {slot.entry.with_}"
            for slot in self._slots
            if not slot.entry.optional and slot.used < (slot.entry.times or 1)
        ]

    def close(self) -> None:
        """Nothing is open."""


def _fits(slot: Slot[Answer], action: str, given: JsonObject) -> bool:
    entry = slot.entry
    if entry.action != action or (entry.times is not None and slot.used >= entry.times):
        return False
    return contains(given, entry.with_)


# ---- actions over recorded answers ----------------------------------------------------------------


class AnsweringRegistry(Registry):
    """The registry in which the actions of some connections return what was recorded."""

    def __init__(self, real: Registry, worlds: Mapping[str, AnsweredWorld]) -> None:
        super().__init__()
        self._kinds = real.kinds
        self._actions = {name: _over(action, worlds) for name, action in real.actions.items()}


class _Over:
    """What the three effects share: the real action's face."""

    def __init__(self, real: Any, worlds: Mapping[str, AnsweredWorld]) -> None:
        self.real = real
        self.worlds = worlds
        for name in ("name", "version", "Params", "summary", "risk", "protection"):
            if hasattr(real, name):
                setattr(self, name, getattr(real, name))

    def world_of(self, params: Any, world: World) -> AnsweredWorld | None:
        return self.at(getattr(params, "connection", None) or "", world)

    def at(self, connection: str, world: World) -> AnsweredWorld | None:
        """Return the world of a connection that plays it; asking opens it, as the action itself would."""
        return world.client(connection, AnsweredWorld) if connection in self.worlds else None

    def targets(self, params: Any) -> Sequence[Target]:
        targets: Sequence[Target] = self.real.targets(params)
        return targets

    def grants(self, params: Any) -> Sequence[Grant]:
        grants: Sequence[Grant] = self.real.grants(params)
        return grants


class _Read(_Over, Read[Any]):
    def read(self, params: Any, world: World) -> Json:
        played = self.world_of(params, world)
        if played is None:
            return self.real.read(params, world)
        return played.answer(self.name, params).output


class _Notify(_Over, Notify[Any]):
    def send(self, params: Any, world: World, key: str) -> Json:
        played = self.world_of(params, world)
        if played is None:
            return self.real.send(params, world, key)
        output = played.answer(self.name, params).output
        if key not in played.applied:
            played.applied[key] = Receipt()
            played.tell(canonical_json(params.model_dump(mode="json")))
        return output

    def sent(self, params: Any, world: World, key: str) -> bool | None:
        played = self.world_of(params, world)
        if played is None:
            told: bool | None = self.real.sent(params, world, key)
            return told
        return key in played.applied


class _Change(_Over, Change[Any]):
    def locks(self, params: Any) -> Sequence[Target]:
        locks: Sequence[Target] = self.real.locks(params)
        return locks

    def protection_of(self, planned: Planned) -> Protection:
        if planned.target.connection in self.worlds:
            return self.real.protection  # type: ignore[no-any-return]
        protection: Protection = self.real.protection_of(planned)
        return protection

    def plan(self, params: Any, world: World) -> Planned:
        played = self.world_of(params, world)
        if played is None:
            planned: Planned = self.real.plan(params, world)
            return planned
        form = played.answer(self.name, params).planned or PlannedForm(target=self.name)
        return Planned(
            action=self.name,
            target=Target(params.connection, form.target),
            before=from_json(form.before),
            after=from_json(form.after),
            counts=form.counts,
            summary=form.summary or f"{self.name} {form.target}",
            reversible=form.reversible,
            why_irreversible=None if form.reversible else "the rehearsal says so",
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        played = self.at(planned.target.connection, world)
        if played is None:
            receipt: Receipt = self.real.apply(planned, world, key)
            return receipt
        return played.apply(planned, key)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        played = self.at(planned.target.connection, world)
        if played is None:
            answer: Confirmation = self.real.confirm(planned, receipt, world, key)
            return answer
        return Applied(played.applied[key]) if key in played.applied else NotApplied()

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        played = self.at(planned.target.connection, world)
        if played is None:
            undone: Receipt = self.real.undo(planned, receipt, world, key)
            return undone
        return played.undo(planned, key)


def _over(action: Action[Any], worlds: Mapping[str, AnsweredWorld]) -> Action[Any]:
    if isinstance(action, Read):
        return _Read(action, worlds)
    return _Notify(action, worlds) if isinstance(action, Notify) else _Change(action, worlds)
