"""The workspace: channels, messages, files, people; every method refuses what Slack refuses."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.domain.clock import Clock
from worlds.slack.blocks import check_blocks, check_view
from worlds.slack.refusals import Refused, TooMany

BOT = "UBOT"
TOKEN, APP_TOKEN, SECRET = "xoxb-test", "xapp-test", "signing-secret"
_NAME = re.compile(r"[a-z0-9_-]{1,80}\Z")
_SCOPES = {
    "conversations.create": "channels:manage",
    "conversations.archive": "channels:manage",
    "conversations.invite": "channels:manage",
    "conversations.setTopic": "channels:manage",
    "conversations.join": "channels:join",
    "conversations.list": "channels:read",
    "conversations.info": "channels:read",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "pins.add": "pins:write",
    "bookmarks.add": "bookmarks:write",
    "bookmarks.list": "bookmarks:read",
    "usergroups.users.list": "usergroups:read",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
}
MINUTES = 30  # of a response_url
USES = 5


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


@dataclass
class ResponseUrl:
    channel: str
    user: str
    at: float
    uses: int = 0


class Workspace:
    """One workspace with one app. Safe to share between threads.

    Attributes:
        calls: every call of a method that was made, in order: (method, arguments).
        faults: by method, what to do with the next calls; see `fault`.
        down: whether Slack is away: nothing is answered.
        strict_rates: whether more than one message a second and channel is refused.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.channels: dict[str, Channel] = {}
        self.users: set[str] = set()
        self.groups: dict[str, list[str]] = {}
        self.scopes = {*_SCOPES.values(), "commands"}
        self.views: list[tuple[str, dict[str, Any]]] = []
        self.urls: dict[str, ResponseUrl] = {}
        self.answers: list[tuple[str, dict[str, Any]]] = []  # (user, message) by response_url
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refused_at: list[tuple[str, float]] = []  # 429s: (method, time)
        self.faults: dict[str, list[str]] = {}
        self.down = False
        self.strict_rates = False
        self.lock = threading.RLock()
        self._triggers: dict[str, float] = {}
        self._uploads: dict[str, dict[str, Any]] = {}
        self._number = 0
        self._posted_at: dict[str, float] = {}

    # ------------------------------------------------------------ for tests and people

    def fault(self, method: str, *what: str) -> None:
        """Let the next calls of a method go wrong: an error's code, `lost` (done, but the answer is cut),
        `dropped` (cut before it is done), `429 SECONDS` or `500`."""
        self.faults.setdefault(method, []).extend(what)

    def channel(self, name: str) -> Channel:
        return next(one for one in self.channels.values() if one.name == name)

    def add_channel(self, name: str, creator: str = "UADMIN", *members: str) -> Channel:
        channel = Channel(self._id("C"), name, self.clock.now().timestamp(), creator)
        channel.members = [creator, *members]
        self.channels[channel.id] = channel
        return channel

    def trigger(self) -> str:
        trigger = self._id("T")
        self._triggers[trigger] = self.clock.now().timestamp()
        return trigger

    def response_url(self, base: str, channel: str, user: str) -> str:
        url = f"{base}/response/{self._id('R')}"
        self.urls[url] = ResponseUrl(channel, user, self.clock.now().timestamp())
        return url

    # ------------------------------------------------------------ calls

    def call(self, method: str, token: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one call.

        Raises:
            Refused, TooMany.
        """
        with self.lock:
            self.calls.append((method, dict(given)))
            if method == "apps.connections.open":
                if token != APP_TOKEN:
                    raise Refused("not_allowed_token_type" if token == TOKEN else "invalid_auth")
                return {}
            if token != TOKEN:
                raise Refused("not_authed" if not token else "invalid_auth")
            scope = _SCOPES.get(method)
            if scope is not None and scope not in self.scopes:
                raise Refused("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))
            handler: Callable[[Mapping[str, Any]], dict[str, Any]] | None
            handler = getattr(self, "_" + method.replace(".", "_").lower(), None)
            if handler is None:
                raise Refused("unknown_method")
            answer: dict[str, Any] = handler(given)
            return answer

    def respond(self, url: str, message: Mapping[str, Any]) -> None:
        """Take an answer at a response_url. Raises Refused where it is used up or too old."""
        with self.lock:
            known = self.urls.get(url)
            if known is None:
                raise Refused("no_service")
            age = self.clock.now().timestamp() - known.at
            if known.uses >= USES or age > MINUTES * 60:
                raise Refused("used_url" if known.uses >= USES else "expired_url")
            if "blocks" in message:
                check_blocks(message["blocks"])
            known.uses += 1
            self.answers.append((known.user, dict(message)))

    # ------------------------------------------------------------ channels

    def _auth_test(self, given: Mapping[str, Any]) -> dict[str, Any]:
        del given
        return {"user": "stanch", "user_id": BOT, "team_id": "T1", "url": "https://test.slack.com/"}

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
            {**one, "files": [_file_json(file) for file in one["files"]]} if "files" in one else one
            for one in newest_first
        ]
        return {"messages": shown, "response_metadata": {"next_cursor": more}}

    # ------------------------------------------------------------ messages

    def _chat_postmessage(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._open(given)
        message = self._message(given)
        self._rate(channel)
        thread = given.get("thread_ts")
        if thread and channel.find(str(thread)) is None:
            raise Refused("thread_not_found")
        message |= {"ts": self._ts(), "user": BOT, "type": "message"}
        if thread:
            message["thread_ts"] = thread
        metadata = _json(given.get("metadata"))
        if metadata:
            message["metadata"] = metadata
        channel.messages.append(message)
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def _chat_update(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._open(given)
        message = channel.find(str(given.get("ts")))
        if message is None:
            raise Refused("message_not_found")
        if message["user"] != BOT:
            raise Refused("cant_update_message")
        changed = self._message(given)
        message.pop("blocks", None)
        message.update(changed, edited=True)
        return {"channel": channel.id, "ts": message["ts"]}

    def _chat_postephemeral(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._open(given)
        user = str(given.get("user", ""))
        if user not in channel.members:
            raise Refused("user_not_in_channel")
        channel.ephemeral.append({"user": user, **self._message(given)})
        return {"message_ts": self._ts()}

    def _message(self, given: Mapping[str, Any]) -> dict[str, Any]:
        text, blocks = str(given.get("text") or ""), _json(given.get("blocks"))
        if not text and not blocks:
            raise Refused("no_text")
        if len(text) > 40_000:
            raise Refused("msg_too_long")
        if blocks is None:
            return {"text": text}
        check_blocks(blocks)
        return {"text": text, "blocks": blocks}

    def _rate(self, channel: Channel) -> None:
        now = self.clock.now().timestamp()
        if self.strict_rates and now - self._posted_at.get(channel.id, 0.0) < 0.9:
            raise TooMany(1)
        self._posted_at[channel.id] = now

    def _pins_add(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._open(given)
        ts = str(given.get("timestamp"))
        if channel.find(ts) is None:
            raise Refused("message_not_found")
        if ts in channel.pins:
            raise Refused("already_pinned")
        channel.pins.append(ts)
        return {}

    def _bookmarks_add(self, given: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._open({"channel": given.get("channel_id")})
        if not str(given.get("link", "")).startswith(("http://", "https://")):
            raise Refused("invalid_link")
        channel.bookmarks.append({"title": str(given["title"]), "link": str(given["link"])})
        return {"bookmark": channel.bookmarks[-1]}

    def _bookmarks_list(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"bookmarks": self._channel(given.get("channel_id")).bookmarks}

    def _usergroups_users_list(self, given: Mapping[str, Any]) -> dict[str, Any]:
        group = self.groups.get(str(given.get("usergroup")))
        if group is None:
            raise Refused("no_such_subteam")
        return {"users": group}

    # ------------------------------------------------------------ files and forms

    def _files_getuploadurlexternal(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if not given.get("filename") or int(given.get("length") or 0) <= 0:
            raise Refused("invalid_arguments")
        file = self._id("F")
        self._uploads[file] = {
            "id": file,
            "name": given["filename"],
            "length": int(given["length"]),
        }
        return {"file_id": file, "upload_url": f"{{base}}/upload/{file}"}

    def uploaded(self, file: str, content: bytes) -> None:
        with self.lock:
            if len(content) != self._uploads[file]["length"]:
                raise Refused("length_mismatch")
            try:
                self._uploads[file]["content"] = content.decode()
            except UnicodeDecodeError:
                self._uploads[file]["content"] = content

    def _files_completeuploadexternal(self, given: Mapping[str, Any]) -> dict[str, Any]:
        files = []
        for one in _json(given.get("files")) or ():
            known = self._uploads.get(one["id"])
            if known is None or "content" not in known:
                raise Refused("file_not_found")
            files.append({**known, "title": one.get("title")})
        if given.get("channel_id"):
            channel = self._open({"channel": given["channel_id"]})
            message: dict[str, Any] = {"ts": self._ts(), "user": BOT, "files": files}
            message["text"] = given.get("initial_comment") or ""
            if given.get("thread_ts"):
                message["thread_ts"] = given["thread_ts"]
            channel.messages.append(message)
        return {"files": [_file_json(one) for one in files]}

    def _views_open(self, given: Mapping[str, Any]) -> dict[str, Any]:
        at = self._triggers.pop(str(given.get("trigger_id")), None)
        if at is None:
            raise Refused("invalid_trigger_id")
        if self.clock.now().timestamp() - at > 3:
            raise Refused("expired_trigger_id")
        view = _json(given.get("view"))
        check_view(view)
        self.views.append((str(given.get("trigger_id")), view))
        return {"view": view}

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


def _file_json(file: Mapping[str, Any]) -> dict[str, Any]:
    """A file as answers have it: without what is in it."""
    return {name: value for name, value in file.items() if name != "content"}


def _channel_json(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "name": channel.name,
        "created": int(channel.created),
        "creator": channel.creator,
        "is_archived": channel.archived,
        "topic": {"value": channel.topic},
    }


def _json(value: Any) -> Any:
    """Arguments come as JSON bodies or as form fields that hold JSON."""
    if not isinstance(value, str) or not value:
        return value or None
    try:
        return json.loads(value)
    except ValueError:
        raise Refused("invalid_arguments") from None
