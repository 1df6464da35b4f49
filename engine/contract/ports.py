"""What actions may ask of Stanch itself: ports of their world, never imports upward (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from engine.domain.canonical import JsonObject
from engine.domain.errors import ActionFailed, Category
from engine.domain.message import Message


class ChatPort(Protocol):
    """Chat, as one run's actions see it. What they hand over is durable when the call returns and is
    delivered later, in order: a chat that is slow or away never delays a run.

    `channel` is a channel's name or id as the chat knows it; None: the channel of the run's incident.
    Each raises ActionFailed: (configuration) no chat is configured, or the channel is not allowed;
    (data) the run has no incident and no channel is named.
    """

    def post(
        self, message: Message, key: str, *, channel: str | None = None, thread: str | None = None
    ) -> JsonObject:
        """Post a message once a key; `thread` is the key of an earlier one that it answers to."""
        ...

    def update(
        self, of: str, message: Message, key: str, *, channel: str | None = None
    ) -> JsonObject:
        """Replace the message that was posted under the key `of`."""
        ...

    def upload(
        self, name: str, text: str, key: str, *, comment: str = "", channel: str | None = None
    ) -> JsonObject:
        """Put a file into the channel, once a key."""
        ...

    def accepted(self, key: str, /) -> bool:
        """Whether something was handed over under this key already."""
        ...


class NoChat:
    """The port where no chat may be used: every call says why."""

    def __init__(self, category: Category, why: str) -> None:
        self._category = category
        self._why = why

    def post(self, *_given: Any, **_more: Any) -> JsonObject:
        raise ActionFailed(self._category, self._why, effect_possible=False)

    update = upload = post

    def accepted(self, _key: str) -> bool:
        return False


class ReadOnlyChat(NoChat):
    """Lets questions through and nothing else."""

    def __init__(self, port: ChatPort) -> None:
        super().__init__(Category.PERMANENT, "this world is read-only; nothing was sent")
        self._port = port

    def accepted(self, _key: str) -> bool:
        return self._port.accepted(_key)


class IncidentPort(Protocol):
    """The run's incident, as its actions see it. Everything is done once a key, whatever crashes: asked
    again under the same key, the first answer comes back.

    A run may belong to no incident (somebody started it by hand). Then `describe` is None; `update` and
    `note` answer `{"incident": None, "done": False, "reason": …}` and change nothing; what is attached
    belongs to the run; people are called about the run.

    Each raises ActionFailed: (data) what was given is not taken; the message says why.
    """

    def describe(self) -> JsonObject | None:
        """The incident: `id, title, rule, severity, state, opened_at, resolved_at, labels, roles`."""
        ...

    def update(
        self,
        key: str,
        *,
        severity: str | None = None,
        status: str | None = None,
        title: str | None = None,
        reason: str = "",
    ) -> JsonObject:
        """Change severity, state or title; each with the reason."""
        ...

    def note(self, key: str, text: str) -> JsonObject: ...

    def attach(self, key: str, name: str, content_type: str, content: bytes) -> JsonObject:
        """Keep a file with it; return the artifact."""
        ...

    def refer(
        self, key: str, name: str, content_type: str, reference: Mapping[str, Any]
    ) -> JsonObject:
        """Keep the reference `{connection, name, sha256, bytes}` to a file that lies elsewhere."""
        ...

    def escalate(self, key: str, level: str, reason: str, chain: str | None = None) -> JsonObject:
        """Call people; return `{page, level}`."""
        ...

    def done(self, key: str) -> bool:
        """Whether something was done under this key already."""
        ...


class NoIncidents:
    """The port where nothing may be done: every act says why; nothing is known."""

    def __init__(self, category: Category, why: str) -> None:
        self._category = category
        self._why = why

    def describe(self) -> JsonObject | None:
        return None

    def update(self, *_given: Any, **_more: Any) -> JsonObject:
        raise ActionFailed(self._category, self._why, effect_possible=False)

    note = attach = refer = escalate = update

    def done(self, _key: str) -> bool:
        return False


class ReadOnlyIncident(NoIncidents):
    """Lets questions through and nothing else."""

    def __init__(self, port: IncidentPort) -> None:
        super().__init__(Category.PERMANENT, "this world is read-only; nothing was written")
        self._port = port

    def describe(self) -> JsonObject | None:
        return self._port.describe()

    def done(self, key: str) -> bool:
        return self._port.done(key)


UNKNOWN = NoIncidents(Category.CONFIGURATION, "there are no incidents in this world")
UNCONFIGURED = NoChat(
    Category.CONFIGURATION, "no chat is configured; write chat: into the configuration"
)


@dataclass(frozen=True)
class Ports:
    """The ports of one run."""

    chat: ChatPort = UNCONFIGURED
    incident: IncidentPort = UNKNOWN


NO_PORTS = Ports()
