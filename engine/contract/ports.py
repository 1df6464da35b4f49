"""What actions may ask of Stanch itself: ports of their world, never imports upward (DESIGN 4)."""

from __future__ import annotations

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


UNCONFIGURED = NoChat(
    Category.CONFIGURATION, "no chat is configured; write chat: into the configuration"
)


@dataclass(frozen=True)
class Ports:
    """The ports of one run."""

    chat: ChatPort = UNCONFIGURED


NO_PORTS = Ports()
