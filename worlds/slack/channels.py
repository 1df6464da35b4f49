"""Channels of the workspace: made, joined, invited to, archived, read."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.domain.clock import Clock
from worlds.slack.refusals import Refused

BOT = "UBOT"
_NAME = re.compile(r"[a-z0-9_-]{1,80}\Z")


@dataclass
class Channel:
    id: str
    name: str
    created: float
    creator: str = BOT
    topic: str = ""
    archived: bool = False
    members: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    pins: list[str] = field(default_factory=list)
    bookmarks: list[dict[str, str]] = field(default_factory=list)
    ephemeral: list[dict[str, Any]] = field(default_factory=list)

    def find(self, ts: str) -> dict[str, Any] | None:
        return next((one for one in self.messages if one["ts"] == ts), None)


class Channels:
    """The workspace, as far as its channels and who is in them go."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.channels: dict[str, Channel] = {}
        self.users: set[str] = set()
        self.lock = threading.RLock()
        self._number = 0

    def channel(self, name: str) -> Channel:
        return next(one for one in self.channels.values() if one.name == name)

    def add_channel(self, name: str, creator: str = "UADMIN", *members: str) -> Channel:
        channel = Channel(self._id("C"), name, self.clock.now().timestamp(), creator)
        channel.members = [creator, *members]
        self.channels[channel.id] = channel
        return channel

    # ------------------------------------------------------------ calls

    def _conversations_create(self, given: Mapping[str, Any]) -> dict[str, Any]:
        name = str(given.get("name", ""))
        if not name:
            raise Refused("invalid_name_required")
        if len(name) > 80:
            raise Refused("invalid_name_maxlength")
        if not _NAME.match(name):
            raise Refused("invalid_name_specials")
        if not re.search(r"[a-z0-9]", name):
            raise Refused("invalid_name_punctuation")
        if any(one.name == name for one in self.channels.values()):
            raise Refused("name_taken")
        channel = Channel(self._id("C"), name, self.clock.now().timestamp(), members=[BOT])
        self.channels[channel.id] = channel
        return {"channel": _channel_json(channel)}

    def _conversations_list(self, given: Mapping[str, Any]) -> dict[str, Any]:
        del given
        return {"channels": [_channel_json(one) for one in self.channels.values()]}

    def _conversations_info(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._channel(given.get("channel"))
        return {"channel": {**_channel_json(channel), "is_member": BOT in channel.members}}

    def _conversations_join(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._open(given, member=False)
        if BOT not in channel.members:
            channel.members.append(BOT)
        return {"channel": _channel_json(channel)}

    def _conversations_invite(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._open(given)
        for user in str(given.get("users", "")).split(","):
            if user == BOT:
                raise Refused("cant_invite_self")
            if user not in self.users:
                raise Refused("user_not_found")
            if user in channel.members:
                raise Refused("already_in_channel")
            channel.members.append(user)
        return {"channel": _channel_json(channel)}

    def _conversations_archive(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._channel(given.get("channel"))
        if channel.archived:
            raise Refused("already_archived")
        channel.archived = True
        return {}

    def _conversations_settopic(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._open(given)
        topic = str(given.get("topic", ""))
        if len(topic) > 250:
            raise Refused("too_long")
        channel.topic = topic
        return {"channel": _channel_json(channel)}

    def _conversations_history(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._channel(given.get("channel"))
        if BOT not in channel.members:
            raise Refused("not_in_channel")
        found = [one for one in channel.messages if one.get("thread_ts", one["ts"]) == one["ts"]]
        return self._page(found, given)

    def _conversations_replies(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._channel(given.get("channel"))
        if channel.find(str(given.get("ts"))) is None:
            raise Refused("thread_not_found")
        ts = given["ts"]
        return self._page(
            [m for m in channel.messages if ts in (m["ts"], m.get("thread_ts"))], given
        )

    def _page(self, found: list[dict[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        oldest = float(given.get("oldest") or 0)
        wanted = [one for one in found if float(one["ts"]) > oldest]
        if str(given.get("include_all_metadata", "")).lower() not in {"1", "true"}:
            wanted = [{k: v for k, v in one.items() if k != "metadata"} for one in wanted]
        start = int(given.get("cursor") or 0)
        limit = min(200, int(given.get("limit") or 100))
        newest_first = wanted[::-1][start : start + limit]
        more = str(start + limit) if start + limit < len(wanted) else ""
        shown = [
            {**one, "files": [file_json(file) for file in one["files"]]} if "files" in one else one
            for one in newest_first
        ]
        return {"messages": shown, "response_metadata": {"next_cursor": more}}

    # ------------------------------------------------------------ small helps

    def _channel(self, name: object) -> Channel:
        channel = self.channels.get(str(name))
        if channel is None:
            raise Refused("channel_not_found")
        return channel

    def _open(self, given: Mapping[str, Any], *, member: bool = True) -> Channel:
        channel = self._channel(given.get("channel"))
        if channel.archived:
            raise Refused("is_archived")
        if member and BOT not in channel.members:
            raise Refused("not_in_channel")
        return channel

    def _id(self, letter: str) -> str:
        self._number += 1
        return f"{letter}{self._number:08d}"

    def _ts(self) -> str:
        self._number += 1
        return f"{int(self.clock.now().timestamp())}.{self._number:06d}"


def _channel_json(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "name": channel.name,
        "created": int(channel.created),
        "creator": channel.creator,
        "is_archived": channel.archived,
        "topic": {"value": channel.topic},
    }


def file_json(file: Mapping[str, Any]) -> dict[str, Any]:
    """A file as answers have it: without what is in it."""
    return {name: value for name, value in file.items() if name != "content"}
