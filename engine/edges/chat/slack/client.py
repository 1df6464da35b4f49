"""Slack as a chat: each parcel by its method of the Web API, nothing twice, limits respected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.errors import SlackApiError
from slack_sdk.web import WebClient
from slack_sdk.webhook import WebhookClient

from engine.domain.clock import Clock
from engine.domain.message import Message
from engine.edges.chat.slack.blocks import blocks, cut, fallback
from engine.edges.chat.slack.directory import Groups
from engine.edges.chat.slack.errors import NETWORK, code_of, refused, unreachable
from engine.edges.chat.slack.names import channel_name
from engine.journal.parcels import Delivery, Settled

EVENT = "stanch_message"  # the type of the metadata that carries a parcel's key
TIMEOUT = 10  # seconds; well below a lane's lease
HOOKS = "hooks.slack.com"
_SKEW = timedelta(minutes=5)  # between the store's clock and Slack's
_NAMES = 20
_PAGES = 10
_OTHER_TEXT = 3900

METHODS = {
    "create": "conversations.create",
    "post": "chat.postMessage",
    "update": "chat.update",
    "upload": "files.completeUploadExternal",
    "pin": "pins.add",
    "topic": "conversations.setTopic",
    "bookmark": "bookmarks.add",
    "invite": "conversations.invite",
    "archive": "conversations.archive",
    "ephemeral": "chat.postEphemeral",
    "answer": "response_url",
}
# Seconds between calls by the methods' tiers (20, 50, 100 a minute); messages: see `deliver`.
_PACES = {
    "conversations.create": 3.0,
    "conversations.archive": 3.0,
    "conversations.setTopic": 3.0,
    "pins.add": 3.0,
    "bookmarks.add": 3.0,
    "files.completeUploadExternal": 0.6,
    "conversations.invite": 1.2,
    "chat.update": 1.2,
    "chat.postEphemeral": 0.6,
    "chat.postMessage": 0.2,
}
POST_GAP = 1.0  # seconds between two messages in one channel


class SlackChat:
    """Delivers over the Web API.

    Args:
        is_taken: whether a channel's id belongs to another lane already.
        kept: the bytes of an artifact, by its id; None where they are not kept here.
    """

    name = "slack"

    def __init__(
        self,
        token: str,
        clock: Clock,
        *,
        base_url: str,
        groups: Mapping[str, Sequence[str]],
        is_taken: Callable[[str], bool],
        kept: Callable[[str], bytes | None],
    ) -> None:
        # Its own retries would post twice: what may have been taken is asked about first.
        self.web = WebClient(token, base_url=base_url, timeout=TIMEOUT, retry_handlers=[])
        self.groups = Groups(groups, self._members, clock)
        self._is_taken = is_taken
        self._kept = kept
        self._hosts = {HOOKS, urlsplit(base_url).hostname or ""}
        self._me: str | None = None

    def limit(self, delivery: Delivery) -> str:
        return METHODS[delivery.parcel.kind]

    def pace(self, limit: str) -> float:
        return _PACES.get(limit, 0.0)

    def groups_of(self, user: str) -> Collection[str]:
        return self.groups.groups_of(user)

    def deliver(self, delivery: Delivery) -> Settled:
        method = METHODS[delivery.parcel.kind]
        try:
            return self._carry(delivery)
        except SlackApiError as error:
            return refused(delivery, method, error)
        except NETWORK as error:
            return unreachable(delivery, method, error)

    def _carry(self, delivery: Delivery) -> Settled:
        kind, body = delivery.parcel.kind, delivery.parcel.body
        if kind == "create":
            return self._create(delivery)
        if kind == "answer":
            return self._answer(delivery)
        channel = _channel(delivery)
        if channel is None:
            return Settled("failed", error="its channel was never made")
        match kind:
            case "post":
                return self._post(delivery, channel)
            case "update":
                return self._update(delivery, channel)
            case "upload":
                return self._upload(delivery, channel)
            case "pin":
                ref = delivery.posts.get(delivery.parcel.name or "")
                if ref is None:
                    return Settled("failed", error="what was to be pinned was never posted")
                self.web.pins_add(channel=channel, timestamp=ref)
            case "topic":
                self.web.conversations_setTopic(channel=channel, topic=body["text"][:250])
            case "bookmark":
                self._bookmark(delivery, channel)
            case "invite":
                return self._invite(channel, body["roles"])
            case "archive":
                self.web.conversations_archive(channel=channel)
            case "ephemeral":
                message = Message.from_json(body["message"])
                self.web.chat_postEphemeral(
                    channel=channel, user=body["user"], **self._shown(message)
                )
        return Settled("done")

    # ------------------------------------------------------------ messages

    def _shown(self, message: Message) -> dict[str, Any]:
        mention = self.groups.mention
        return {"text": fallback(message, mention), "blocks": blocks(message, mention)}

    def _post(self, delivery: Delivery, channel: str) -> Settled:
        body = delivery.parcel.body
        thread = delivery.posts.get(body.get("thread") or "")
        if delivery.doubt:
            found = self._find(delivery, channel, thread, _has_key(delivery.parcel.key))
            if found is not None:
                return Settled("done", POST_GAP, ref=found)
        key = {"event_type": EVENT, "event_payload": {"key": delivery.parcel.key}}
        call: dict[str, Any] = {"channel": channel, "thread_ts": thread, "metadata": key}
        shown = self._shown(Message.from_json(body["message"]))
        try:
            answer = self.web.chat_postMessage(
                **call, **shown, unfurl_links=False, unfurl_media=False
            )
        except SlackApiError as error:
            answer = self._mended(error, channel, call, shown["text"])
        return Settled("done", POST_GAP, ref=answer["ts"], channel=answer.get("channel"))

    def _mended(self, error: SlackApiError, channel: str, call: Any, text: str) -> Any:
        """Post once more where it is clear what was wrong, and that nothing was posted."""
        code = code_of(error)
        if code == "not_in_channel":
            self.web.conversations_join(channel=channel)
        elif code not in {"invalid_blocks", "invalid_blocks_format", "msg_too_long"}:
            raise error
        return self.web.chat_postMessage(**call, text=cut(text, _OTHER_TEXT))

    def _update(self, delivery: Delivery, channel: str) -> Settled:
        ref = delivery.posts.get(delivery.parcel.name or "")
        if ref is None:
            return Settled("failed", error="the message was never posted")
        shown = self._shown(Message.from_json(delivery.parcel.body["message"]))
        self.web.chat_update(channel=channel, ts=ref, **shown)
        return Settled("done")

    def _upload(self, delivery: Delivery, channel: str) -> Settled:
        body = delivery.parcel.body
        thread = delivery.posts.get(body.get("thread") or "")
        if delivery.doubt and self._find(delivery, channel, thread, _has_file(body["filename"])):
            return Settled("done", POST_GAP)
        content = self._kept(body["artifact"]) if "artifact" in body else body["text"]
        if content is None:
            return Settled("failed", error=f"{body['artifact']} is not kept any more")
        self.web.files_upload_v2(
            filename=body["filename"],
            content=content,
            title=body.get("title") or body["filename"],
            initial_comment=body.get("comment") or None,
            channel=channel,
            thread_ts=thread,
        )
        return Settled("done", POST_GAP)

    def _find(
        self,
        delivery: Delivery,
        channel: str,
        thread: str | None,
        fits: Callable[[Mapping[str, Any]], bool],
    ) -> str | None:
        """Look in the channel for what an earlier try may have left there."""
        oldest = f"{(delivery.since - _SKEW).timestamp():.6f}"
        options: dict[str, Any] = {
            "channel": channel,
            "include_all_metadata": True,
            "oldest": oldest,
            "limit": 200,
        }
        cursor: str | None = None
        for _ in range(_PAGES):
            page: Any = (
                self.web.conversations_replies(ts=thread, cursor=cursor, **options)
                if thread
                else self.web.conversations_history(cursor=cursor, **options)
            )
            for message in page["messages"]:
                if fits(message):
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return None
        return None

    def _answer(self, delivery: Delivery) -> Settled:
        """Answer a person where they asked; where that is over, in the channel, for their eyes alone."""
        body = delivery.parcel.body
        message = Message.from_json(body["message"])
        shown = self._shown(message)
        url = str(body.get("url") or "")
        if url and urlsplit(url).hostname in self._hosts:
            client = WebhookClient(url, timeout=TIMEOUT, retry_handlers=[])
            answer = client.send(
                text=shown["text"],
                blocks=shown["blocks"],
                response_type="ephemeral",
                replace_original=False,
            )
            if answer.status_code == 200:
                return Settled("done")
        if not body.get("channel"):
            return Settled("failed", error="the time for an answer is over")
        self.web.chat_postEphemeral(channel=body["channel"], user=body["user"], **shown)
        return Settled("done")

    # ------------------------------------------------------------ channels

    def _create(self, delivery: Delivery) -> Settled:
        body = delivery.parcel.body
        for number in range(1, _NAMES + 1):
            name = channel_name(str(body["name"]), number)
            try:
                made = self.web.conversations_create(
                    name=name, is_private=bool(body.get("private", False))
                )
            except SlackApiError as error:
                if code_of(error) != "name_taken":
                    raise
                found = self._own(delivery, name) if delivery.doubt else None
                if found is not None:
                    return Settled("done", channel=found)
                continue
            return Settled("done", channel=made["channel"]["id"])
        return Settled("failed", error=f"{_NAMES} names like {body['name']} are taken")

    def _own(self, delivery: Delivery, name: str) -> str | None:
        """A channel of this name that an earlier try of this very delivery must have made."""
        if self._me is None:
            self._me = str(self.web.auth_test()["user_id"])
        since = (delivery.since - _SKEW).timestamp()
        cursor: str | None = None
        for _ in range(_PAGES):
            page: Any = self.web.conversations_list(
                cursor=cursor, limit=500, types="public_channel,private_channel"
            )
            for one in page["channels"]:
                mine = one.get("creator") == self._me and float(one.get("created", 0)) >= since
                if one["name"] == name and mine and not self._is_taken(one["id"]):
                    return str(one["id"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return None
        return None

    def _bookmark(self, delivery: Delivery, channel: str) -> None:
        body = delivery.parcel.body
        if delivery.doubt:
            there: Any = self.web.bookmarks_list(channel_id=channel)
            if any(one.get("link") == body["url"] for one in there["bookmarks"]):
                return
        self.web.bookmarks_add(
            channel_id=channel, title=body["title"], type="link", link=body["url"]
        )

    def _invite(self, channel: str, roles: Sequence[str]) -> Settled:
        """Invite everybody; who cannot be invited keeps nobody else out."""
        missed = []
        for user in self.groups.users(roles):
            try:
                self.web.conversations_invite(channel=channel, users=user)
            except SlackApiError as error:
                code = code_of(error)
                if code in {"ratelimited", ""}:
                    raise
                if code not in {"already_in_channel", "cant_invite_self"}:
                    missed.append(f"{user} ({code})")
        return Settled("done", error=f"not invited: {', '.join(missed)}" if missed else "")

    def _members(self, group: str) -> Sequence[str]:
        answer: Any = self.web.usergroups_users_list(usergroup=group)
        return [str(user) for user in answer["users"]]


def _channel(delivery: Delivery) -> str | None:
    """The channel of a lane; a lane that is a channel's own name needs none to be made."""
    lane = delivery.parcel.lane
    return (
        delivery.channel
        or delivery.parcel.body.get("channel")
        or (lane if lane.startswith("#") else None)
    )


def _has_key(key: str) -> Callable[[Mapping[str, Any]], bool]:
    def fits(message: Mapping[str, Any]) -> bool:
        metadata = message.get("metadata") or {}
        return bool((metadata.get("event_payload") or {}).get("key") == key)

    return fits


def _has_file(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda message: any(one.get("name") == name for one in message.get("files") or ())
