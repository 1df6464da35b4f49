"""What is said in the workspace's channels: messages, pins, bookmarks, files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.domain.clock import Clock
from worlds.slack.blocks import check_blocks
from worlds.slack.channels import BOT, Channel, Channels, file_json
from worlds.slack.refusals import Refused, TooMany


class Messages(Channels):
    """The workspace, as far as what is said in it goes.

    Attributes:
        strict_rates: whether more than one message a second and channel is refused.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.strict_rates = False
        self._uploads: dict[str, dict[str, Any]] = {}
        self._posted_at: dict[str, float] = {}

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
        metadata = from_form(given.get("metadata"))
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
        text, blocks = str(given.get("text") or ""), from_form(given.get("blocks"))
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

    # ------------------------------------------------------------ files

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
        for one in from_form(given.get("files")) or ():
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
        return {"files": [file_json(one) for one in files]}


def from_form(value: Any) -> Any:
    """Arguments come as JSON bodies or as form fields that hold JSON."""
    if not isinstance(value, str) or not value:
        return value or None
    try:
        return json.loads(value)
    except ValueError:
        raise Refused("invalid_arguments") from None
