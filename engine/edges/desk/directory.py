"""The people of the configuration: which identities are one person, and which roles they have, how far."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from engine.domain.people import Actor, Scope

EVERYWHERE = Scope()
LOCAL = "local"  # in `roles:` it stands for whoever opens the local store


@dataclass(frozen=True)
class Role:
    """Who has a role, by name or by chat group, and how far it reaches."""

    members: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scope: Scope = EVERYWHERE


@dataclass(frozen=True)
class Person:
    """The identities of one person. `names`: logins and the names that playbooks give as their author."""

    slack: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    web: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def identities(self) -> Sequence[tuple[str, str]]:
        """(kind, identity) pairs; kinds are `slack`, `token`, `web`, `name`."""
        kinds = (("slack", self.slack), ("token", self.tokens), ("web", self.web))
        found = [(kind, one) for kind, given in kinds for one in given]
        return [*found, *(("name", one) for one in self.names)]


@dataclass(frozen=True)
class Directory:
    """Resolves identities to people, and people to actors."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)

    @classmethod
    def of(cls, roles: Mapping[str, Sequence[str]]) -> Directory:
        """Return a directory of plain roles: names alone."""
        return cls({role: Role(tuple(names)) for role, names in roles.items()})

    def person(self, kind: str, identity: str) -> str:
        """Return whose identity it is. One that nobody claims is a person of its own.

        A chat user that nobody claims is named `slack:ID`, which no token and no login can be called.
        """
        for name, person in self.people.items():
            if (kind, identity) in person.identities():
                return name
        return f"slack:{identity}" if kind == "slack" else identity

    def canonical(self, name: str) -> str:
        """Return the person behind a bare name: an author, a login, a token's owner."""
        if name in self.people:
            return name
        for kind in ("name", "token", "web"):
            found = self.person(kind, name)
            if found != name:
                return found
        return name

    def roles_of(self, name: str, groups: Collection[str] = ()) -> frozenset[str]:
        """Return the roles of a person who is in these chat groups besides their own."""
        own = self.people.get(name)
        within = {*groups, *(own.groups if own is not None else ())}
        return frozenset(
            role
            for role, one in self.roles.items()
            if name in one.members or within.intersection(one.groups)
        )

    def holds(self, name: str, role: str) -> bool:
        """Whether the configuration gives a person a role (by name or by the groups written there)."""
        return bool(self.roles_of(name) & {role, "admin"})

    def scope(self, role: str) -> Scope:
        """Return how far a role reaches."""
        return self.roles[role].scope if role in self.roles else EVERYWHERE

    def actor(
        self,
        name: str,
        via: str,
        *,
        groups: Collection[str] = (),
        roles: Collection[str] | None = None,
        besides: Collection[str] = (),
    ) -> Actor:
        """Return a person as an actor.

        Args:
            groups: chat groups that they are in.
            roles: the roles that they came with (a token's own); None: the configuration's.
            besides: roles that everybody who comes this way has.
        """
        given = frozenset(roles) if roles is not None else self.roles_of(name, groups)
        held = given | frozenset(besides)
        scopes = tuple(
            (role, self.roles[role].scope)
            for role in sorted(held)
            if role in self.roles and self.roles[role].scope != EVERYWHERE
        )
        return Actor(name, held, via, scopes)
