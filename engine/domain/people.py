"""Who acts: a person with roles, as a gate, a brake or an API call sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.domain.canonical import JsonObject


@dataclass(frozen=True)
class Actor:
    """A person or a system with its own identity.

    Attributes:
        name: the person's own name in its source, for example a token's owner or a login.
        roles: role names from the configuration; `admin` stands for all.
        via: where they came from: `cli`, `api`, `slack`, `alertmanager`, `engine`.
    """

    name: str
    roles: frozenset[str] = field(default_factory=frozenset)
    via: str = "cli"

    def has(self, role: str) -> bool:
        return role in self.roles or "admin" in self.roles

    def as_json(self) -> JsonObject:
        return {"name": self.name, "via": self.via, "roles": sorted(self.roles)}


ENGINE = Actor("stanch", via="engine")
