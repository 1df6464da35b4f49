"""What files may name: actions, connections, roles, secrets, playbooks, conditions.

The language lies below the action contract, so actions are seen here by their shape alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel

from engine.domain.plan import Effect
from engine.language.reading import Playbook
from engine.language.rulereading import ReadCondition


class ActionShape(Protocol):
    """What the check needs of an action; `engine.contract.Action` has it."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...

    @property
    def effect(self) -> Effect: ...

    @property
    def Params(self) -> type[BaseModel]: ...  # noqa: N802  the contract's name


class Catalog(Protocol):
    """The actions and connection kinds there are; `engine.contract.registry.Registry` is one."""

    @property
    def actions(self) -> Mapping[str, ActionShape]: ...

    @property
    def kinds(self) -> Mapping[str, Any]: ...

    def why_missing(self, name: str) -> str | None:
        """Return why a plugin that would bring this action or kind is not there, naming it."""
        ...


@dataclass(frozen=True)
class Known:
    """Everything that a file may name.

    Attributes:
        connections: each connection's kind, by name.
        roles: names of roles; None where they are not known and not checked. `admin` is always one.
        secrets: names for secret('…'); None as above.
        playbooks: those that could be read, by name.
        why_missing: says of an action that is not there which plugin failed to bring it, and why.
    """

    actions: Mapping[str, ActionShape]
    kinds: Mapping[str, Any]
    connections: Mapping[str, str]
    roles: Collection[str] | None = None
    secrets: Collection[str] | None = None
    playbooks: Mapping[str, Playbook] = field(default_factory=dict)
    conditions: Mapping[str, ReadCondition] = field(default_factory=dict)
    why_missing: Callable[[str], str | None] = lambda _name: None

    @property
    def systems(self) -> set[str]:
        """The first parts of the actions' names."""
        return {name.partition(".")[0] for name in self.actions}

    def query_kinds(self) -> set[str]:
        """The connection kinds that a `query:` can be asked of: their KIND.query takes a query."""
        return {
            system
            for system in self.systems
            if (action := self.actions.get(f"{system}.query")) is not None
            and "query" in action.Params.model_fields
        }
