"""Who acts: a person with roles, as a gate, a brake or an API call sees them; and how far a role reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.canonical import JsonObject


@dataclass(frozen=True)
class Where:
    """What a decision is about: the playbook's pack, and the namespaces that are touched, as far as known."""

    pack: str = ""
    namespaces: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        return {"pack": self.pack, "namespaces": list(self.namespaces)}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Where:
        found = value.get("namespaces")
        names = tuple(map(str, found)) if isinstance(found, list | tuple) else ()
        return cls(str(value.get("pack") or ""), names)


@dataclass(frozen=True)
class Scope:
    """How far a role reaches. Nothing named: everywhere."""

    packs: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def refusal(self, where: Where) -> str | None:
        """Return why `where` lies beyond it, or None where it is covered."""
        if self.packs and where.pack not in self.packs:
            return f"reaches the packs {_named(self.packs)}, not {where.pack or 'this playbook'}"
        if not self.namespaces:
            return None
        if not where.namespaces:
            return f"reaches the namespaces {_named(self.namespaces)}, and this names none"
        beyond = sorted(set(where.namespaces) - self.namespaces)
        if beyond:
            return f"reaches the namespaces {_named(self.namespaces)}, not {_named(beyond)}"
        return None


def _named(names: frozenset[str] | list[str]) -> str:
    return ", ".join(sorted(names))


@dataclass(frozen=True)
class Actor:
    """A person or a system with its own identity.

    Attributes:
        name: the person's own name: one for all their identities, so that they count once.
        roles: role names from the configuration; `admin` stands for all.
        via: where they came from: `cli`, `api`, `slack`, `alertmanager`, `engine`.
        scopes: (role, how far it reaches) of those roles that do not reach everywhere.
    """

    name: str
    roles: frozenset[str] = field(default_factory=frozenset)
    via: str = "cli"
    scopes: tuple[tuple[str, Scope], ...] = ()

    def has(self, role: str, where: Where | None = None) -> bool:
        return self.lacks(role, where) is None

    def lacks(self, role: str, where: Where | None = None) -> str | None:
        """Return why the actor cannot act in `role`, there where it counts; None where they can."""
        why = f"{self.name} lacks the role {role}"
        for name in (role, "admin"):
            if name not in self.roles:
                continue
            beyond = self._beyond(name, where)
            if beyond is None:
                return None
            why = f"{self.name}'s role {name} {beyond}"
        return why

    def _beyond(self, role: str, where: Where | None) -> str | None:
        if where is None:
            return None
        scope = next((scope for name, scope in self.scopes if name == role), None)
        return scope.refusal(where) if scope is not None else None

    def as_json(self) -> JsonObject:
        return {"name": self.name, "via": self.via, "roles": sorted(self.roles)}


ENGINE = Actor("stanch", via="engine")
