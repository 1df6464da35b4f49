"""Who asks, and what their roles let them do (DESIGN 12): viewer < operator < approver roles < admin."""

from __future__ import annotations

import enum
import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime

from engine.domain.errors import InvalidInput, Refused
from engine.domain.people import Actor
from engine.edges.desk.directory import LOCAL, Directory
from engine.edges.problems import Unauthenticated
from engine.journal.store import Store

_PREFIX = "stanch_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")


class Level(enum.IntEnum):
    """What a role allows at the least. Approving itself asks for the gate's own role."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2
    APPROVER = 3
    ADMIN = 4


def level(actor: Actor) -> Level:
    """Return the highest level that the actor's roles reach; any role with a name of its own is an approver's."""
    if "admin" in actor.roles:
        return Level.ADMIN
    if actor.roles - {"viewer", "operator"}:
        return Level.APPROVER
    if "operator" in actor.roles:
        return Level.OPERATOR
    return Level.VIEWER if "viewer" in actor.roles else Level.NONE


def require(actor: Actor, least: Level, what: str) -> None:
    """Let through, or say which role is missing.

    Raises:
        Refused: the actor's level is below `least`.
    """
    if level(actor) < least:
        role = least.name.lower()
        raise Refused(f"{actor.name} may not {what}: that needs the role {role}", missing_role=role)


def login() -> str:
    """Return the login of the process's own user; not from the environment, which anybody can set."""
    import os
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid-{os.geteuid()}"


def local_actor(directory: Directory, via: str) -> Actor:
    """Return the local user: who can open the store may operate it; approving needs a role of their own.

    The name is the same by CLI and by a loopback API without tokens, so that one person counts once
    towards any quorum.
    """
    name = directory.canonical(login())
    besides = {"viewer", "operator"} | directory.roles_of(LOCAL)
    return directory.actor(name, via, besides=besides)


def actor_of_slack(directory: Directory, user_id: str, groups: Collection[str] = ()) -> Actor:
    """Return who a chat user is, with the roles that their name and their groups have.

    Args:
        user_id: Slack's own id, as in `U024BE7LH`; never a display name, which anybody can choose.
        groups: ids or handles of the user groups that they are in.
    """
    return directory.actor(directory.person("slack", user_id), "slack", groups=groups)


def new_token() -> str:
    """Return a new API token of 256 random bits; only its hash is ever stored."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return what is stored of a token. It is random and long: a plain SHA-256 suffices."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_token_name(name: str) -> None:
    """Raises InvalidInput where the name cannot be a person's."""
    if not _NAME.match(name):
        raise InvalidInput(
            f"{name!r} is no name for a token: letters, digits, and . _ @ - (at most 64), as in alice"
        )


def actor_of_token(store: Store, token: str, directory: Directory, via: str = "api") -> Actor:
    """Return whose token it is. A token without roles of its own has those that the configuration gives.

    Raises:
        Unauthenticated: unknown, expired or revoked.
    """
    hashed = hash_token(token)
    found = store.read(lambda tx: tx.tokens.find(hashed))
    if found is None:
        raise Unauthenticated("this token is not known, has expired or was revoked")
    name, own = found
    return directory.actor(directory.person("token", name), via, roles=own or None)


def add_token(store: Store, name: str, roles: Sequence[str], expires_at: datetime | None) -> str:
    """Make a token for `name` and return it; it cannot be read again.

    Raises:
        InvalidInput: a bad name.
    """
    check_token_name(name)
    token = new_token()
    hashed = hash_token(token)
    store.write(lambda tx: tx.tokens.add(name, hashed, tuple(roles), expires_at))
    return token
