"""The action contract (DESIGN 6). This package is all that a plugin author relies on.

An action is a class with a `name` (`system.verb`), a `version`, a pydantic `Params`, and an effect:
subclass `Read`, `Change` or `Notify`. Instances hold no state: one instance serves every run and thread.
Failures are raised as `ActionFailed(category, message)`; anything else stops for a person.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from engine.contract.byhand import ByHand, Given, Hand
from engine.contract.world import Grant, World
from engine.domain.canonical import Json
from engine.domain.plan import Effect, Planned, Receipt, Target


class ActionParams(BaseModel):
    """Base of every `Params`: unknown names are errors, nothing is coerced from text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


P = TypeVar("P", bound=ActionParams)


class Protection(enum.StrEnum):
    """How an effect is kept from happening twice (DESIGN 6)."""

    CONDITIONAL = "conditional"  # resourceVersion, ETag, compare-and-set
    TOKEN = "token"  # noqa: S105  a row with the key in the same SQL transaction
    PROVIDER_KEY = "provider_key"  # an idempotency key that the other side honours
    UNPROTECTED = "unprotected"  # never re-applied automatically

    @property
    def retry_safe(self) -> bool:
        """Whether the engine may apply again by itself after a failure or a crash."""
        return self is not Protection.UNPROTECTED


@dataclass(frozen=True)
class Applied:
    """The effect is there. `receipt` is rebuilt from what the target holds, before-image included."""

    receipt: Receipt


@dataclass(frozen=True)
class NotApplied:
    """The effect is not there; applying now is safe."""


@dataclass(frozen=True)
class NotYet:
    """The effect is under way: ask again after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class Wrong:
    """The target holds something that neither the plan nor its before explains."""

    reason: str


@dataclass(frozen=True)
class CannotTell:
    """There is no way to know; a person decides."""

    reason: str


Confirmation = Applied | NotApplied | NotYet | Wrong | CannotTell


class Action(ABC, Generic[P]):
    """What all effects share.

    Class attributes:
        name: `system.verb`. version: raised when its plan or parameters change meaning.
        Params: the parameters; each field has a description and an example.
        summary: one line for `stanch actions`.
        risk: `none`, `low`, `medium` or `high`, for people who read a gate.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Params: ClassVar[type[ActionParams]]
    summary: ClassVar[str]
    effect: ClassVar[Effect]
    risk: ClassVar[str] = "low"

    def manual(self, given: Given, at: ByHand) -> Hand:
        """Return how a person does it by hand: commands for a shell, quoted, without secrets.

        Args:
            given: the step's parameters as the playbook has them; a template that is not known stands
                as `<steps.rate.value>`, whatever the parameter's type.
        """
        del given, at
        return Hand(())

    def targets(self, params: P) -> Sequence[Target]:
        """Return what the action will read or touch, for allow-lists; asked before anything else."""
        del params
        return ()

    def grants(self, params: P) -> Sequence[Grant]:
        """Return the rights it needs, no more and no fewer."""
        del params
        return ()


class Read(Action[P]):
    """Looks, and writes nothing."""

    effect = Effect.READ
    risk = "none"

    @abstractmethod
    def read(self, params: P, world: World) -> Json:
        """Return the step's output, JSON, of bounded size."""


class Change(Action[P]):
    """Plans, applies, confirms, undoes."""

    effect = Effect.CHANGE
    protection: ClassVar[Protection]

    def protection_of(self, planned: Planned) -> Protection:
        """Return how this very change is protected, where that depends on its parameters."""
        del planned
        return self.protection

    @abstractmethod
    def plan(self, params: P, world: World) -> Planned:
        """Return what would change, without changing it.

        Raises:
            Unplannable: it cannot be known without doing it.
        """

    @abstractmethod
    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        """Make the change. With a `key` that was applied before, return that receipt and act no more."""

    @abstractmethod
    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        """Ask the target whether the effect of `key` is there. `receipt` is None after a crash."""

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        """Restore `receipt.before_image`. `key` is the undo's own.

        Raises:
            ActionFailed: (data) what others changed since is in the way, naming the field; not where
                `world.overriding` says that a person wants it restored all the same.
        """
        raise NotImplementedError  # called only where `Planned.reversible`

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        """Return what others changed since, field by field, as an undo would meet it; through clients that
        only read. Empty: nothing, or it cannot be told before. `world.earlier` holds the ways back of newer
        changes: what they will restore first is no conflict.
        """
        del planned, receipt, world
        return ()

    def locks(self, params: P) -> Sequence[Target]:
        """Return the targets that no other run may hold meanwhile."""
        return self.targets(params)


class Notify(Action[P]):
    """Tells people. Never undone; sent at most once where the other side allows that."""

    effect = Effect.NOTIFY

    @abstractmethod
    def send(self, params: P, world: World, key: str) -> Json:
        """Send it and return the step's output. With a `key` that was sent before, send no more."""

    def sent(self, params: P, world: World, key: str) -> bool | None:
        """After a crash: True it was sent, False it was not, None it cannot be told (then it is not sent again)."""
        del params, world, key
        return None


def schema_of(params: type[ActionParams]) -> Mapping[str, Any]:
    """Return the JSON Schema of an action's parameters."""
    return params.model_json_schema()
