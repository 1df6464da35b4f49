"""Which Slack users and groups stand for a role, and which groups a user is in; kept for some minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence

from engine.domain.clock import Clock

FRESH = 300.0  # seconds


class Groups:
    """Members of user groups, asked of Slack when first needed.

    Args:
        groups: role to ids of user groups (`S…`) and users (`U…`, `W…`).
        members: asks Slack for a group's members; raises whatever the client raises.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[str]],
        members: Callable[[str], Sequence[str]],
        clock: Clock,
    ) -> None:
        self._groups = groups
        self._members = members
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}

    def mention(self, role: str) -> str:
        """Return what calls a role in a message; its bare name where nobody stands for it."""
        ids = self._groups.get(role)
        if not ids:
            return f"@{role}"
        return " ".join(f"<!subteam^{one}>" if one.startswith("S") else f"<@{one}>" for one in ids)

    def users(self, roles: Sequence[str]) -> list[str]:
        """Return the users that stand for roles."""
        found: list[str] = []
        for role in roles:
            for one in self._groups.get(role, ()):
                found += self.members(one) if one.startswith("S") else [one]
        return list(dict.fromkeys(found))

    def groups_of(self, user: str) -> Collection[str]:
        """Return the ids of the configured groups that a user is in, and the user's own id."""
        named = {one for ids in self._groups.values() for one in ids if one.startswith("S")}
        return {group for group in named if user in self.members(group)} | {user}

    def roles_of(self, user: str) -> frozenset[str]:
        """Return the roles that a user has by the groups of the configuration."""
        mine = set(self.groups_of(user))
        return frozenset(role for role, ids in self._groups.items() if mine.intersection(ids))

    def members(self, group: str) -> tuple[str, ...]:
        now = self._clock.monotonic()
        with self._lock:
            at, known = self._known.get(group, (now - FRESH - 1, ()))
        if now - at <= FRESH:
            return known
        found = tuple(self._members(group))
        with self._lock:
            self._known[group] = (now, found)
        return found
